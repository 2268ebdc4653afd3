//! Compares the sockets' record of their devices with what the devices have, after every event.

use ktls_core::crypto_info::Direction;
use ktls_core::offload::{InstallPolicy, RxPhase, TxPhase};
use ktls_core::stats::{Counter, Stats};

use super::World;
use super::host::Host;
use crate::device::DirectionLedger;
use crate::device_socket::SealPath;
use crate::oracle::{BrokenInvariant, WrongBook};

impl World<'_> {
    /// Checks the sockets' record of the device at both hosts.
    pub(super) fn check_books(&mut self) {
        for index in 0..2 {
            if let Err(wrong) = self.hosts[index].check_books(self.scenario.policy) {
                self.violate(index, 0, BrokenInvariant::Books(wrong));
            }
        }
    }

    /// Checks, before a send makes records, that the newest key is in the device if it may be.
    pub(super) fn check_installed(&mut self, index: usize) {
        let acked = self.hosts[index].sender.acked();
        let due = match self.hosts[index].tx.phase() {
            TxPhase::Ready => true,
            TxPhase::Pending { boundary } => boundary <= acked,
            _ => false,
        };
        if due {
            self.violate(
                index,
                acked,
                BrokenInvariant::Books(WrongBook::NotInstalled),
            );
        }
    }

    /// Checks that no record is open after a call in which the device accepted a key.
    /// `accepted_before` is the number of accepted keys before the call.
    pub(super) fn check_open_record(&mut self, index: usize, accepted_before: u64) {
        let host = &self.hosts[index];
        if host.keys_accepted() > accepted_before && host.tx.socket().open_len() > 0 {
            let offset = host.tx.write_offset();
            self.violate(index, offset, BrokenInvariant::Books(WrongBook::RecordOpen));
        }
    }

    /// Checks at the end of a run that the device has no key and that each refusal was counted.
    pub(super) fn check_ledger(&mut self, index: usize) {
        let host = &self.hosts[index];
        let stats = &host.shared.stats;
        let mut wrong = None;
        for (direction, counter) in [
            (Direction::Tx, Counter::TlsTxRekeyFallback),
            (Direction::Rx, Counter::TlsRxRekeyFallback),
        ] {
            let ledger = host.ledger.borrow();
            let account = ledger.of(direction);
            if account.has_key() {
                wrong = Some(WrongBook::KeyLeft);
            } else if stats.value(counter) != account.refused_again as i64 {
                wrong = Some(WrongBook::Refusals);
            }
        }
        if let Some(wrong) = wrong {
            self.violate(index, 0, BrokenInvariant::Books(wrong));
        }
    }
}

impl Host {
    /// Returns how many keys the device accepted for sending.
    pub(super) fn keys_accepted(&self) -> u64 {
        self.ledger.borrow().of(Direction::Tx).accepted
    }

    fn check_books(&self, policy: InstallPolicy) -> Result<(), WrongBook> {
        let ledger = self.ledger.borrow();
        let (tx, rx) = (ledger.of(Direction::Tx), ledger.of(Direction::Rx));
        if tx.confused || rx.confused {
            return Err(WrongBook::Confused);
        }
        self.check_tx(tx, ledger.was_down)?;
        self.check_rx(rx, ledger.was_down)?;
        if policy != InstallPolicy::Naive {
            self.check_placement()?;
        }
        self.check_gauges(&self.shared.stats)
    }

    /// Checks that the device's verdict followed each install in the same call, and that the phase
    /// agrees with whether the device has a key.
    fn check_tx(&self, account: &DirectionLedger, was_down: bool) -> Result<(), WrongBook> {
        let holds = match self.tx.phase() {
            TxPhase::Installing => return Err(WrongBook::NoVerdict),
            TxPhase::Software | TxPhase::Failed => !account.has_key(),
            TxPhase::Offloaded => account.has_key() || was_down,
            // The old key may stay for the unacknowledged bytes.
            TxPhase::Pending { .. } | TxPhase::Ready | TxPhase::Closed => true,
        };
        holds.then_some(()).ok_or(WrongBook::WrongPhase)
    }

    fn check_rx(&self, account: &DirectionLedger, was_down: bool) -> Result<(), WrongBook> {
        let holds = match self.rx.phase() {
            RxPhase::Installing => return Err(WrongBook::NoVerdict),
            RxPhase::Offloaded => account.has_key() || was_down,
            RxPhase::Software
            | RxPhase::Deleted
            | RxPhase::Draining { .. }
            | RxPhase::Failed
            | RxPhase::Closed => !account.has_key(),
        };
        holds.then_some(()).ok_or(WrongBook::WrongPhase)
    }

    /// Checks that the next record is framed for the device if, and only if, the device is to seal
    /// it.
    fn check_placement(&self) -> Result<(), WrongBook> {
        let (path, _) = self.tx.path(self.tx.write_offset());
        if (path == SealPath::Device) != self.tx.phase().on_device() {
            return Err(WrongBook::WrongPlace);
        }
        Ok(())
    }

    /// Checks that an open socket counts exactly one carrier for each direction, and a closed one
    /// none.
    fn check_gauges(&self, stats: &Stats) -> Result<(), WrongBook> {
        let open = i64::from(!self.closed);
        for (software, device, rekey, rekeying) in [
            (
                Counter::TlsCurrTxSw,
                Counter::TlsCurrTxDevice,
                Counter::TlsCurrTxRekey,
                self.tx.phase().is_rekeying(),
            ),
            (
                Counter::TlsCurrRxSw,
                Counter::TlsCurrRxDevice,
                Counter::TlsCurrRxRekey,
                self.rx.phase().is_rekeying(),
            ),
        ] {
            let carriers = stats.value(software) + stats.value(device);
            if carriers != open || stats.value(rekey) != i64::from(rekeying) {
                return Err(WrongBook::Gauges);
            }
        }
        Ok(())
    }
}
