//! The section about calls that are handed over.

use super::values::HumanLeaves;

section! {
    /// Calls that are handed over to somebody (`duologue handover`, POST /v1/calls/{id}/handover): what the caller is told, and what
    /// becomes of him afterwards.
    pub struct Handover in "handover" {
        /// What the caller is told when somebody is called for him.
        asking: String = "One moment, I am putting you through.".into(), Text { most: 300 }, "";
        /// What he is told when nobody took the call.
        nobody: String = "I am sorry, nobody can take your call just now. I am still here.".into(), Text { most: 300 }, "";
        /// What he is told when he is the agent's again.
        back: String = "You are back with me.".into(), Text { most: 300 }, "";
        /// What becomes of the caller when whom he was handed over to hangs up. "end" ends his call too, as it does on any line; "agent"
        /// gives him back to the agent. A line that breaks gives him back to the agent anyhow.
        human_leaves: HumanLeaves = HumanLeaves::End, (), "";
    }
}
