//! Inference stands back for the media threads.

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// The range of nice(2): -20..=19.
const RANGE: f32 = 39.0;

/// Gives this thread, and those it starts from now on, the niceness of nice(1), 0..=19. Where the system refuses, it
/// goes on as it is: inference then only competes harder.
pub(crate) fn lower_this_thread(nice: u8) {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
    let outcome = ThreadPriorityValue::try_from(priority_of(nice.min(19))).map_err(|fault| fault.to_owned()).and_then(
        |priority| {
            let priority = ThreadPriority::Crossplatform(priority);
            set_thread_priority_and_policy(thread_native_id(), priority, policy).map_err(|fault| fault.to_string())
        },
    );
    if let Err(fault) = outcome {
        tracing::warn!(nice, %fault, "the thread's priority stays as it is");
    }
}

/// The inverse of what `thread-priority` makes of its own scale, 0 (nicest) to 99, with half a step to spare for its
/// rounding down.
fn priority_of(nice: u8) -> u8 {
    (99.0 * (1.0 - (f32::from(nice) + 20.5) / RANGE)).max(0.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_niceness_arrives_as_asked() {
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
        for nice in 0..=19 {
            let priority = ThreadPriorityValue::try_from(priority_of(nice)).expect("in range");
            assert_eq!(ThreadPriority::Crossplatform(priority).to_posix(policy).expect("allowed"), i32::from(nice));
        }
    }
}
