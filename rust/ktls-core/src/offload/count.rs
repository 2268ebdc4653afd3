//! Gauges and outcomes of both directions (`docs/offload-rules.md`, D-4, V-TX-6 and V-TX-8).

use crate::crypto_info::Direction;
use crate::offload::policy::RekeyOutcome;
use crate::stats::{Counter, Stats};

/// What carries a direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Carrier {
    /// Not keyed yet, or closed.
    #[default]
    Nothing,
    /// The record layer.
    Software,
    /// A device, also while a key update is under way.
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

    /// The total that the first key counts in.
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

/// Counts what carries a direction and whether a key update of it is under way.
#[derive(Debug)]
pub struct OffloadGauges {
    direction: Direction,
    carrier: Carrier,
    rekeying: bool,
}

impl OffloadGauges {
    /// Nothing counted yet.
    #[must_use]
    pub const fn new(direction: Direction) -> Self {
        Self {
            direction,
            carrier: Carrier::Nothing,
            rekeying: false,
        }
    }

    /// What carries the direction.
    #[must_use]
    pub const fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// The first key.
    pub fn start(&mut self, carrier: Carrier, stats: &Stats) {
        carrier
            .total(self.direction)
            .into_iter()
            .for_each(|total| stats.add(total));
        self.show(carrier, false, stats);
    }

    /// What the gauges say from now on.
    pub fn show(&mut self, carrier: Carrier, rekeying: bool, stats: &Stats) {
        if carrier != self.carrier {
            let (old, new) = (
                self.carrier.gauge(self.direction),
                carrier.gauge(self.direction),
            );
            old.into_iter().for_each(|gauge| stats.sub(gauge));
            new.into_iter().for_each(|gauge| stats.add(gauge));
            self.carrier = carrier;
        }
        if rekeying != self.rekeying {
            let gauge = match self.direction {
                Direction::Tx => Counter::TlsCurrTxRekey,
                Direction::Rx => Counter::TlsCurrRxRekey,
            };
            if rekeying {
                stats.add(gauge);
            } else {
                stats.sub(gauge);
            }
            self.rekeying = rekeying;
        }
    }

    /// What became of a key update.
    pub fn count(&self, outcome: Option<RekeyOutcome>, stats: &Stats) {
        let counter = match (self.direction, outcome) {
            (_, None) => return,
            (Direction::Tx, Some(RekeyOutcome::Ok)) => Counter::TlsTxRekeyOk,
            (Direction::Tx, Some(RekeyOutcome::Fallback)) => Counter::TlsTxRekeyFallback,
            (Direction::Tx, Some(RekeyOutcome::Aborted)) => Counter::TlsTxRekeyAborted,
            (Direction::Rx, Some(RekeyOutcome::Ok)) => Counter::TlsRxRekeyOk,
            (Direction::Rx, Some(RekeyOutcome::Fallback)) => Counter::TlsRxRekeyFallback,
            (Direction::Rx, Some(RekeyOutcome::Aborted)) => Counter::TlsRxRekeyAborted,
        };
        stats.add(counter);
    }
}
