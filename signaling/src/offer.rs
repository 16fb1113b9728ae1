//! What must be true of an SDP offer before anything is allocated for it.
