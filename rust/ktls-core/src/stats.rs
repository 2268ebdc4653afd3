//! Counters with the names of `/proc/net/tls_stat` (`docs/kernel-rules.md`, S6.1).

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

macro_rules! counters {
    ($($name:ident,)*) => {
        /// One counter of `/proc/net/tls_stat`.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[expect(missing_docs, reason = "the kernel's names; docs/kernel-rules.md, S6.1")]
        pub enum Counter {
            $($name,)*
        }

        impl Counter {
            /// All counters: the kernel's in its order, then those of key updates under offload,
            /// the number of records that were sealed beyond the limit of an AEAD key, and those
            /// of the policies of sessions.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the kernel's name of the counter.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

counters! {
    TlsCurrTxSw,
    TlsCurrRxSw,
    TlsCurrTxDevice,
    TlsCurrRxDevice,
    TlsTxSw,
    TlsRxSw,
    TlsTxDevice,
    TlsRxDevice,
    TlsDecryptError,
    TlsRxDeviceResync,
    TlsDecryptRetry,
    TlsRxNoPadViolation,
    TlsRxRekeyOk,
    TlsRxRekeyError,
    TlsTxRekeyOk,
    TlsTxRekeyError,
    TlsRxRekeyReceived,
    TlsTxRekeyFallback,
    TlsRxRekeyFallback,
    TlsTxRekeyAborted,
    TlsRxRekeyAborted,
    TlsCurrTxRekey,
    TlsCurrRxRekey,
    TlsTxPastKeyLimit,
    TlsTxRekeyBytes,
    TlsTxRekeyRecords,
    TlsTxRekeySeconds,
    TlsTxRekeyPostponed,
    TlsTxRekeyRequest,
    TlsTxRekeyAnswer,
    TlsTxRekeyLimit,
    TlsRxRekeyStorm,
}

impl Counter {
    /// The number of counters in [`Counter::ALL`] that the kernel has.
    const IN_KERNEL: usize = Self::TlsRxRekeyReceived as usize + 1;
}

/// The counters of one network namespace.
#[derive(Debug)]
pub struct Stats([AtomicI64; Counter::ALL.len()]);

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

impl Stats {
    /// Creates counters with the value 0.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicI64::new(0) }; Counter::ALL.len()])
    }

    /// Adds 1 to a counter.
    pub fn add(&self, counter: Counter) {
        self.0[counter as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Adds `more` to a counter.
    pub fn add_many(&self, counter: Counter, more: u64) {
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        self.0[counter as usize].fetch_add(more, Ordering::Relaxed);
    }

    /// Subtracts 1 from a gauge.
    pub fn sub(&self, gauge: Counter) {
        self.0[gauge as usize].fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the counters that `/proc/net/tls_stat` lists, with their values: the kernel's,
    /// followed by those of our own that are not zero.
    pub fn listed(&self) -> impl Iterator<Item = (Counter, i64)> + '_ {
        let (kernel, ours) = Counter::ALL.split_at(Counter::IN_KERNEL);
        let all = |&counter| (counter, self.value(counter));
        let ours = ours.iter().map(all).filter(|(_, value)| *value != 0);
        kernel.iter().map(all).chain(ours)
    }

    /// Returns the current value of a counter.
    #[must_use]
    pub fn value(&self, counter: Counter) -> i64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }
}

/// Formats the counters as `/proc/net/tls_stat` does.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (counter, value) in self.listed() {
            writeln!(f, "{:<32}\t{value}", counter.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_the_names_of_the_kernel_and_count() {
        let stats = Stats::new();
        stats.add(Counter::TlsRxRekeyReceived);
        stats.add(Counter::TlsCurrTxSw);
        stats.sub(Counter::TlsCurrTxSw);
        assert_eq!(stats.value(Counter::TlsRxRekeyReceived), 1);
        assert_eq!(stats.value(Counter::TlsCurrTxSw), 0);
        assert_eq!(Counter::ALL[8].name(), "TlsDecryptError");
    }

    #[test]
    fn text_is_that_of_the_kernel() {
        let stats = Stats::new();
        stats.add(Counter::TlsCurrRxSw);
        let text = stats.to_string();
        let mut lines = text.split_inclusive('\n');
        assert_eq!(lines.next(), Some("TlsCurrTxSw                     \t0\n"));
        assert_eq!(lines.next(), Some("TlsCurrRxSw                     \t1\n"));
        assert_eq!(lines.count(), 17 - 2);
    }

    #[test]
    fn counters_that_the_kernel_lacks_come_last_and_only_if_not_zero() {
        let stats = Stats::new();
        stats.add(Counter::TlsTxRekeyAborted);
        let listed: Vec<_> = stats.listed().map(|(counter, _)| counter.name()).collect();
        assert_eq!(listed[16..], ["TlsRxRekeyReceived", "TlsTxRekeyAborted"]);
    }
}
