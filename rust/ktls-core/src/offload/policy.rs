//! The two ways to rekey under offload, and one that is wrong.

/// Who decides when a device gets the next key.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum InstallPolicy {
    /// The cover letter of the kernel's rekey patches (R-RX-1 to R-RX-3, R-TX-1 to R-TX-8).
    #[default]
    CoverLetter,
    /// The later proposal (V-RX-1 to V-RX-8, V-TX-1 to V-TX-10).
    V17,
    /// Puts the next key into the device at `setsockopt`, whatever is unacknowledged: breaks the stream.
    /// The proof has to catch it.
    Naive,
}

impl InstallPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CoverLetter, Self::V17, Self::Naive];

    /// The policy of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// The name that scenarios and reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CoverLetter => "cover-letter",
            Self::V17 => "v17",
            Self::Naive => "naive",
        }
    }

    /// True when `TLS_TX` seals the open record under the old key first (V-TX-2); otherwise it goes under
    /// the new one (K-24).
    #[must_use]
    pub const fn flushes_open_record(self) -> bool {
        matches!(self, Self::V17)
    }
}

impl std::fmt::Display for InstallPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What became of one key update of a direction. Each has exactly one outcome.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RekeyOutcome {
    /// The device has the key, or never had to, or a newer key took its place.
    Ok,
    /// The device did not take it: the direction is in software.
    Fallback,
    /// The connection was closed first.
    Aborted,
}
