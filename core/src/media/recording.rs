//! The sound of a persona that is no agent but a recording: an announcement, or a known signal to measure a line with. Played
//! from the first tick of the call, over and over.

use std::sync::Arc;

use crate::audio::LINE_FRAME;

/// One call's place in a recording.
#[derive(Clone, Debug)]
pub struct Recording {
    /// At the rate of the line; never empty.
    sound: Arc<[f32]>,
    next: usize,
}

impl Recording {
    /// `None` when there is nothing to play.
    pub fn new(sound: Arc<[f32]>) -> Option<Self> {
        (!sound.is_empty()).then_some(Self { sound, next: 0 })
    }

    /// What is sent in this tick. `true`: it is always the recording's sound.
    pub fn frame(&mut self, out: &mut [f32; LINE_FRAME]) -> bool {
        for slot in out {
            *slot = self.sound[self.next];
            self.next = (self.next + 1) % self.sound.len();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_anew_where_it_ends() {
        let sound: Vec<f32> = (0..LINE_FRAME + 10).map(|n| n as f32).collect();
        let mut recording = Recording::new(sound.into()).expect("sound");
        let mut frame = [0.0; LINE_FRAME];
        assert!(recording.frame(&mut frame));
        assert_eq!((frame[0], frame[LINE_FRAME - 1]), (0.0, (LINE_FRAME - 1) as f32));
        recording.frame(&mut frame);
        assert_eq!((frame[9], frame[10]), ((LINE_FRAME + 9) as f32, 0.0));
        assert!(Recording::new(Arc::new([])).is_none());
    }
}
