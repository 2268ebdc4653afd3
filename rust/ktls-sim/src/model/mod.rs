//! Exhaustive search of a small model that the same machines drive.
