//! Session tickets that every process with a copy of one configuration can open.
//!
//! A server with several processes creates its configuration once and forks. Each process then
//! renews the ticket keys by the clock alone: time is divided into periods, and the secret of a
//! period is derived from that of the period before, which is wiped one period later. So all
//! processes have the same keys at the same time without communicating. An attacker who reads the
//! memory of one of them learns nothing about tickets that are two periods old.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ktls_aead::PROVIDER;
use ktls_core::Error;
use ktls_core::aead::{Aad, NonceBytes, OpenJob, Provider, RecordKey, SealJob};
use ktls_core::suite::{AeadAlgorithm, Hash};
use ktls_core::wire::TAG_LEN;
use rustls::crypto::SecureRandom;
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

/// Makes and opens tickets under keys that change every six hours.
///
/// A ticket is a random salt and the session, sealed under a key that is derived from the salt and
/// the secret of the period. Each key seals one ticket, so the nonce is zero.
pub(super) struct RatchetedTickets {
    secrets: Mutex<TicketSecrets>,
    random: &'static dyn SecureRandom,
}

type TicketSecret = Zeroizing<[u8; SECRET_LEN]>;

struct TicketSecrets {
    period: u64,
    current: TicketSecret,
    /// The secret of the period before, whose tickets are still accepted.
    previous: Option<TicketSecret>,
}

impl RatchetedTickets {
    /// Starts with a random secret. Returns `None` if the system has no random bytes.
    pub(super) fn new(random: &'static dyn SecureRandom) -> Option<Self> {
        Self::starting_at(unix_time(), random)
    }

    fn starting_at(now: u64, random: &'static dyn SecureRandom) -> Option<Self> {
        let mut current = TicketSecret::default();
        random.fill(&mut *current).ok()?;
        let secrets = TicketSecrets {
            period: now / PERIOD,
            current,
            previous: None,
        };
        Some(Self {
            secrets: Mutex::new(secrets),
            random,
        })
    }

    fn seal(&self, now: u64, session: &[u8]) -> Option<Vec<u8>> {
        let mut ticket = vec![0; SALT_LEN + session.len() + TAG_LEN];
        let (salt, out) = ticket.split_at_mut(SALT_LEN);
        self.random.fill(salt).ok()?;
        let key = ticket_key(&self.secrets_at(now).current, salt).ok()?;
        key.seal(SealJob {
            nonce: NONCE,
            aad: Aad::NONE,
            plaintext: session,
            inner_type: None,
            out,
        });
        Some(ticket)
    }

    fn open(&self, now: u64, ticket: &[u8]) -> Option<Vec<u8>> {
        let (salt, sealed) = ticket.split_at_checked(SALT_LEN)?;
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>()?;
        let secrets = self.secrets_at(now);
        let mut candidates = std::iter::once(&secrets.current).chain(&secrets.previous);
        candidates.find_map(|secret| {
            let mut out = vec![0; ciphertext.len()];
            let job = OpenJob {
                nonce: NONCE,
                aad: Aad::NONE,
                ciphertext,
                tag,
                out: &mut out,
            };
            ticket_key(secret, salt).ok()?.open(job).ok()?;
            Some(out)
        })
    }

    fn secrets_at(&self, now: u64) -> MutexGuard<'_, TicketSecrets> {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.advance(now / PERIOD);
        secrets
    }
}

impl TicketSecrets {
    /// Advances to `period`. Does nothing if the clock was set back.
    fn advance(&mut self, period: u64) {
        let periods = period.saturating_sub(self.period).min(MAX_PERIODS);
        for _ in 0..periods {
            let mut next = TicketSecret::default();
            if expand(&self.current, NEXT_SECRET, &mut *next).is_err() {
                return;
            }
            self.previous = Some(std::mem::replace(&mut self.current, next));
        }
        self.period = self.period.max(period);
    }
}

impl ProducesTickets for RatchetedTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        2 * PERIOD as u32
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        self.seal(unix_time(), session)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(unix_time(), ticket)
    }
}

impl fmt::Debug for RatchetedTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RatchetedTickets")
    }
}

fn ticket_key(secret: &TicketSecret, salt: &[u8]) -> Result<Box<dyn RecordKey>, Error> {
    let info = [TICKET_KEY, salt].concat();
    let mut key = TicketSecret::default();
    expand(secret, &info, &mut *key)?;
    PROVIDER.record_key(AeadAlgorithm::ChaCha20Poly1305, &*key)
}

fn expand(secret: &TicketSecret, info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    PROVIDER.expand(Hash::Sha256, &**secret, info, out)
}

fn unix_time() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}

/// The length of a period in seconds. Tickets are accepted until the end of the next period.
const PERIOD: u64 = 6 * 60 * 60;
/// The most periods advanced at once: seven years. After a longer jump of the clock, processes may
/// have different keys.
const MAX_PERIODS: u64 = 10_000;
const NONCE: NonceBytes = [0; 12];
const SECRET_LEN: usize = 32;
const SALT_LEN: usize = 32;
const NEXT_SECRET: &[u8] = b"ktls_fast next ticket secret";
const TICKET_KEY: &[u8] = b"ktls_fast ticket key";

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::default_provider;

    use super::*;

    const START: u64 = 1_800_000_000 / PERIOD * PERIOD;
    const SESSION: &[u8] = b"what the server wants to find again";

    fn tickets() -> RatchetedTickets {
        RatchetedTickets::starting_at(START, default_provider().secure_random).unwrap()
    }

    /// What a fork leaves in the other process.
    fn copy(of: &RatchetedTickets) -> RatchetedTickets {
        let secrets = of.secrets.lock().unwrap();
        RatchetedTickets {
            secrets: Mutex::new(TicketSecrets {
                period: secrets.period,
                current: secrets.current.clone(),
                previous: secrets.previous.clone(),
            }),
            random: of.random,
        }
    }

    #[test]
    fn copies_open_each_others_tickets_whenever_they_were_last_used() {
        let (one, other) = (tickets(), tickets());
        let third = copy(&one);
        for hours in [0, 1, 5, 6, 11, 12, 24, 24 * 400] {
            let now = START + hours * 3600;
            let ticket = one.seal(now, SESSION).unwrap();
            assert_eq!(copy(&one).open(now, &ticket).unwrap(), SESSION);
            assert_eq!(
                third.open(now, &ticket).unwrap(),
                SESSION,
                "after {hours} h"
            );
            assert_eq!(other.open(now, &ticket), None);
        }
    }

    #[test]
    fn a_ticket_is_taken_in_its_period_and_the_next() {
        for made in [0, 1, PERIOD - 1] {
            let tickets = tickets();
            let ticket = tickets.seal(START + made, SESSION).unwrap();
            for later in [made, PERIOD - 1, PERIOD, 2 * PERIOD - 1] {
                assert!(tickets.open(START + later, &ticket).is_some(), "{later}");
            }
            assert_eq!(tickets.open(START + 2 * PERIOD, &ticket), None);
            // The secret is gone: a clock that is set back does not bring it back.
            assert_eq!(tickets.open(START + made, &ticket), None);
        }
    }

    #[test]
    fn a_changed_or_cut_ticket_is_none() {
        let tickets = tickets();
        let ticket = tickets.seal(START, SESSION).unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(tickets.open(START, &changed), None, "byte {at}");
            assert_eq!(tickets.open(START, &ticket[..at]), None, "{at} bytes");
        }
    }

    #[test]
    fn every_ticket_is_another() {
        let tickets = tickets();
        let [one, other] = [(); 2].map(|()| tickets.seal(START, SESSION).unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), SALT_LEN + SESSION.len() + TAG_LEN);
    }

    #[test]
    fn a_clock_that_jumps_to_the_end_of_time_costs_little() {
        let tickets = tickets();
        let ticket = tickets.seal(u64::MAX, SESSION).unwrap();
        assert_eq!(tickets.open(START, &ticket).unwrap(), SESSION);
        let long = vec![7; 1 << 17];
        let ticket = tickets.seal(START, &long).unwrap();
        assert_eq!(tickets.open(START, &ticket).unwrap(), long);
    }

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(format!("{:?}", tickets()), "RatchetedTickets");
    }
}
