//! Counters with the names of `/proc/net/tls_stat` (spec 6.1).

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

macro_rules! counters {
    ($($name:ident,)*) => {
        /// One line of `/proc/net/tls_stat`.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[expect(missing_docs, reason = "the names are the kernel's; spec 6.1 says when each moves")]
        pub enum Counter {
            $($name,)*
        }

        impl Counter {
            /// All of them, in the kernel's order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The kernel's name.
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
}

/// The counters of one namespace.
#[derive(Debug)]
pub struct Stats([AtomicI64; Counter::ALL.len()]);

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

impl Stats {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicI64::new(0) }; Counter::ALL.len()])
    }

    /// Counts one more.
    pub fn add(&self, counter: Counter) {
        self.0[counter as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one off a gauge.
    pub fn sub(&self, gauge: Counter) {
        self.0[gauge as usize].fetch_sub(1, Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn value(&self, counter: Counter) -> i64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }
}

/// The text of `/proc/net/tls_stat`.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &counter in Counter::ALL {
            writeln!(f, "{:<32}\t{}", counter.name(), self.value(counter))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_kernels_and_values_move() {
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
        assert_eq!(lines.count(), Counter::ALL.len() - 2);
    }
}
