//! The two ways to rekey under offload, and a wrong one for tests.

/// The rules for when a device gets the next key.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum InstallPolicy {
    /// The cover letter of the kernel's rekey patches (R-RX-1 to R-RX-3, R-TX-1 to R-TX-8).
    #[default]
    CoverLetter,
    /// The later proposal (V-RX-1 to V-RX-8, V-TX-1 to V-TX-10).
    V17,
    /// Puts the next key into the device at `setsockopt`, even if data is unacknowledged. This
    /// corrupts the stream; the tests must detect it.
    Naive,
}

impl InstallPolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::CoverLetter, Self::V17, Self::Naive];

    /// Returns the policy with this name, or `None` if there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// Returns the name that scenarios and reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CoverLetter => "cover-letter",
            Self::V17 => "v17",
            Self::Naive => "naive",
        }
    }

    /// Returns `true` if `TLS_TX` first seals the open record under the old key (V-TX-2). Otherwise
    /// the record is sealed under the new key (K-24).
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

/// The outcome of a key update of one direction. Every key update has exactly one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RekeyOutcome {
    /// The device has the key; or the direction does not use a device; or a newer key replaced it.
    Ok,
    /// The device refused the key: the direction is in software.
    Fallback,
    /// The connection was closed before the key update was complete.
    Aborted,
}
