//! Gauges and outcomes of both directions (`docs/offload-rules.md`, D-4, V-TX-6 and V-TX-8).

use std::sync::Arc;

use crate::crypto_info::Direction;
use crate::offload::policy::RekeyOutcome;
use crate::stats::{Counter, Stats};

/// What seals or opens the records of a direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Carrier {
    /// Nothing: the direction has no key yet, or is closed.
    #[default]
    Nothing,
    /// The record layer.
    Software,
    /// A device. A direction remains counted as the device's during a key update.
    Device,
}

impl Carrier {
    const fn gauge(self, direction: Direction) -> Option<Counter> {
        match (self, direction) {
            (Self::Nothing, _) => None,
            (Self::Software, Direction::Tx) => Some(Counter::TlsCurrTxSw),
            (Self::Software, Direction::Rx) => Some(Counter::TlsCurrRxSw),
            (Self::Device, Direction::Tx) => Some(Counter::TlsCurrTxDevice),
            (Self::Device, Direction::Rx) => Some(Counter::TlsCurrRxDevice),
        }
    }

    /// Returns the counter that the first key of a direction increments.
    const fn total(self, direction: Direction) -> Option<Counter> {
        match (self, direction) {
            (Self::Nothing, _) => None,
            (Self::Software, Direction::Tx) => Some(Counter::TlsTxSw),
            (Self::Software, Direction::Rx) => Some(Counter::TlsRxSw),
            (Self::Device, Direction::Tx) => Some(Counter::TlsTxDevice),
            (Self::Device, Direction::Rx) => Some(Counter::TlsRxDevice),
        }
    }
}

/// Keeps the gauges of one direction: its carrier, and whether a key update is in progress.
#[derive(Debug)]
pub struct OffloadGauges {
    direction: Direction,
    stats: Arc<Stats>,
    carrier: Carrier,
    rekeying: bool,
}

impl OffloadGauges {
    /// Makes gauges that count nothing until [`OffloadGauges::start`].
    #[must_use]
    pub const fn new(direction: Direction, stats: Arc<Stats>) -> Self {
        Self {
            direction,
            stats,
            carrier: Carrier::Nothing,
            rekeying: false,
        }
    }

    /// Returns the carrier of the direction.
    #[must_use]
    pub const fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// Counts the first key of the direction, which `carrier` uses.
    pub fn start(&mut self, carrier: Carrier) {
        if let Some(total) = carrier.total(self.direction) {
            self.stats.add(total);
        }
        self.show(carrier, false);
    }

    /// Moves the gauges to `carrier` and to whether a key update is in progress.
    pub fn show(&mut self, carrier: Carrier, rekeying: bool) {
        if carrier != self.carrier {
            if let Some(old) = self.carrier.gauge(self.direction) {
                self.stats.sub(old);
            }
            if let Some(new) = carrier.gauge(self.direction) {
                self.stats.add(new);
            }
            self.carrier = carrier;
        }
        if rekeying != self.rekeying {
            let gauge = match self.direction {
                Direction::Tx => Counter::TlsCurrTxRekey,
                Direction::Rx => Counter::TlsCurrRxRekey,
            };
            if rekeying {
                self.stats.add(gauge);
            } else {
                self.stats.sub(gauge);
            }
            self.rekeying = rekeying;
        }
    }

    /// Counts the outcome of a key update; nothing for `None`.
    pub fn count(&self, outcome: Option<RekeyOutcome>) {
        let counter = match (self.direction, outcome) {
            (_, None) => return,
            (Direction::Tx, Some(RekeyOutcome::Ok)) => Counter::TlsTxRekeyOk,
            (Direction::Tx, Some(RekeyOutcome::Fallback)) => Counter::TlsTxRekeyFallback,
            (Direction::Tx, Some(RekeyOutcome::Aborted)) => Counter::TlsTxRekeyAborted,
            (Direction::Rx, Some(RekeyOutcome::Ok)) => Counter::TlsRxRekeyOk,
            (Direction::Rx, Some(RekeyOutcome::Fallback)) => Counter::TlsRxRekeyFallback,
            (Direction::Rx, Some(RekeyOutcome::Aborted)) => Counter::TlsRxRekeyAborted,
        };
        self.stats.add(counter);
    }
}
