//! Checks the invariants of one direction on every byte that is sent and on every byte that is
//! delivered.

use std::collections::VecDeque;
use std::fmt;

use ktls_core::crypto_info::CryptoInfo;
use ktls_core::key::TrafficKey;
use ktls_core::wire::{ContentType, HEADER_LEN, Header, KEY_UPDATE, MAX_PLAINTEXT};

/// A broken invariant, and where and when it broke.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvariantViolation {
    /// The broken invariant.
    pub kind: BrokenInvariant,
    /// The offset in the sender's stream.
    pub offset: u64,
    /// The time in microseconds.
    pub time: u64,
    /// The host that sent: 0 or 1.
    pub host: usize,
}

/// The invariants that can break.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BrokenInvariant {
    /// A byte was sent again with another value, because it was sealed under another key or not
    /// sealed.
    Changed {
        /// The value that was sent first.
        first: u8,
        /// The value that was sent now.
        now: u8,
    },
    /// A record on the wire is not sealed under the key that belongs to its offset.
    NotSealed {
        /// The generation of that key.
        generation: u32,
    },
    /// A record on the wire does not hold what the program sent.
    WrongRecord,
    /// The receiver was delivered bytes other than those that the program sent.
    WrongDelivery,
    /// A receive call failed.
    ReceiveFailed {
        /// Its errno.
        errno: i32,
    },
    /// A send call failed.
    SendFailed {
        /// Its errno.
        errno: i32,
    },
    /// The counters Ok, Fallback and Aborted do not add up to the number of key updates, or a gauge
    /// is not zero at the end.
    Counters {
        /// The sum of the counters, or the value of the gauge.
        counted: i64,
        /// The expected value.
        want: i64,
    },
    /// The socket's record of its device is wrong.
    Books(WrongBook),
    /// No event is left, and not everything that was sent has arrived.
    Stuck,
    /// The run exceeded its limits and was abandoned. This is not a failure of the stream.
    TooLong {
        /// The number of steps taken.
        steps: usize,
    },
}

/// The ways in which a socket's record of its device can be wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WrongBook {
    /// The device was given a key while it had one, or was asked to delete one that it did not
    /// have.
    Confused,
    /// A call ended between an install and the device's verdict.
    NoVerdict,
    /// The phase implies that the device has a key and it has none, or the reverse.
    WrongPhase,
    /// The socket frames records for the device in a phase of software, or the reverse.
    WrongPlace,
    /// A gauge does not match the carrier of a direction, or whether a key update is in progress.
    Gauges,
    /// A key could have been installed and was not.
    NotInstalled,
    /// A key was installed while a record was open (R-TX-7).
    RecordOpen,
    /// A closed connection has left a key in the device.
    KeyLeft,
    /// The number of counted fallbacks differs from the number of refusals by the device.
    Refusals,
}

impl fmt::Display for InvariantViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "at {} us, stream of host {}, offset {}: {:?}",
            self.time, self.host, self.offset, self.kind
        )
    }
}

/// Compares what one sender put into its stream with what is sent on the wire and delivered to the
/// receiver.
#[derive(Debug)]
pub(crate) struct ByteOracle {
    /// The first value that was sent for each byte; `UNSENT` if it was not sent yet.
    image: Vec<u16>,
    /// Every byte below this index was sent.
    contiguous_end: usize,
    /// The index of the first byte of the next record to open.
    head: usize,
    key: TrafficKey,
    seq: u64,
    generation: u32,
    on_wire: SentRecords,
    delivered: SentRecords,
}

/// The messages that were sent and not yet matched, in order, each with its record type.
#[derive(Debug, Default)]
struct SentRecords {
    messages: VecDeque<(u8, Vec<u8>)>,
    offset: usize,
}

/// What a record on the wire holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CheckedRecord {
    /// A KeyUpdate: the next record is sealed under the next key.
    KeyUpdate,
    /// Anything else.
    Other,
}

impl ByteOracle {
    pub(crate) fn new(key: TrafficKey) -> Self {
        Self {
            image: Vec::new(),
            contiguous_end: 0,
            head: 0,
            key,
            seq: 0,
            generation: 0,
            on_wire: SentRecords::default(),
            delivered: SentRecords::default(),
        }
    }

    /// Records that a send call accepted these bytes.
    pub(crate) fn note_sent(&mut self, record_type: u8, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.on_wire
                .messages
                .push_back((record_type, bytes.to_vec()));
            self.delivered
                .messages
                .push_back((record_type, bytes.to_vec()));
        }
    }

    /// Checks bytes that are sent on the wire at `offset`. `keys` returns the key of a generation.
    pub(crate) fn check_wire(
        &mut self,
        offset: u64,
        bytes: &[u8],
        mut keys: impl FnMut(u32) -> CryptoInfo,
        expand: impl Fn(CryptoInfo) -> TrafficKey,
    ) -> Result<(), (u64, BrokenInvariant)> {
        self.write_image(offset as usize, bytes)?;
        while self
            .image
            .get(self.contiguous_end)
            .is_some_and(|&byte| byte != UNSENT)
        {
            self.contiguous_end += 1;
        }
        while let Some(record) = self.next_record()? {
            let at = self.head as u64;
            let len = record.len();
            let checked = self.check(&record).map_err(|broken| (at, broken))?;
            self.head += len;
            self.seq += 1;
            if checked == CheckedRecord::KeyUpdate {
                self.generation += 1;
                self.seq = 0;
                self.key = expand(keys(self.generation));
            }
        }
        Ok(())
    }

    /// Checks bytes that a receive call delivered.
    pub(crate) fn check_delivery(
        &mut self,
        record_type: u8,
        bytes: &[u8],
    ) -> Result<(), BrokenInvariant> {
        if self.delivered.take_matching(record_type, bytes) {
            return Ok(());
        }
        Err(BrokenInvariant::WrongDelivery)
    }

    /// Returns `true` if everything that was sent is delivered and every byte on the wire was
    /// checked.
    pub(crate) fn is_complete(&self) -> bool {
        let matched = self.delivered.messages.is_empty() && self.on_wire.messages.is_empty();
        matched && self.head == self.image.len()
    }

    fn write_image(&mut self, offset: usize, bytes: &[u8]) -> Result<(), (u64, BrokenInvariant)> {
        if self.image.len() < offset + bytes.len() {
            self.image.resize(offset + bytes.len(), UNSENT);
        }
        for (index, (place, &now)) in self.image[offset..].iter_mut().zip(bytes).enumerate() {
            if *place == UNSENT {
                *place = now.into();
            } else if *place != u16::from(now) {
                // Two values at one offset mean another key, a reused nonce, or plaintext.
                let first = *place as u8;
                return Err((
                    (offset + index) as u64,
                    BrokenInvariant::Changed { first, now },
                ));
            }
        }
        Ok(())
    }

    /// Returns the next whole record, or `None` if it is not whole yet. Bytes that cannot begin a
    /// record are an error, since they would hide everything that follows.
    fn next_record(&self) -> Result<Option<Vec<u8>>, (u64, BrokenInvariant)> {
        let bytes = &self.image[self.head..self.contiguous_end];
        let head: Vec<u8> = bytes.iter().take(HEADER_LEN).map(|&b| b as u8).collect();
        let Some(header) = Header::read(&head) else {
            return Ok(None);
        };
        if header.opaque_type != ContentType::APPLICATION_DATA.0 || header.len > MAX_PLAINTEXT + 256
        {
            let generation = self.generation;
            return Err((self.head as u64, BrokenInvariant::NotSealed { generation }));
        }
        let record = bytes.get(..HEADER_LEN + header.len);
        Ok(record.map(|record| record.iter().map(|&byte| byte as u8).collect()))
    }

    /// Opens a record and compares its plaintext with what was sent.
    fn check(&mut self, record: &[u8]) -> Result<CheckedRecord, BrokenInvariant> {
        let mut out = vec![0; record.len()];
        let not_sealed = BrokenInvariant::NotSealed {
            generation: self.generation,
        };
        let opened = self.key.open(self.seq, record, &mut out);
        let inner = opened.map_err(|_| not_sealed)?;
        let plaintext = &out[..inner.len];
        if !self.on_wire.take_matching(inner.record_type, plaintext) {
            return Err(BrokenInvariant::WrongRecord);
        }
        if inner.record_type == 22 && plaintext.first() == Some(&KEY_UPDATE) {
            return Ok(CheckedRecord::KeyUpdate);
        }
        Ok(CheckedRecord::Other)
    }
}

impl SentRecords {
    /// Consumes these bytes if they come next, and returns whether they do. Application data may
    /// span several messages; other types may not.
    fn take_matching(&mut self, record_type: u8, mut bytes: &[u8]) -> bool {
        let mut matched = 0;
        while !bytes.is_empty() {
            let Some((kind, message)) = self.messages.front() else {
                return false;
            };
            let rest = &message[self.offset..];
            let len = rest.len().min(bytes.len());
            if *kind != record_type || rest[..len] != bytes[..len] {
                return false;
            }
            if matched > 0 && record_type != ContentType::APPLICATION_DATA.0 {
                return false;
            }
            matched += 1;
            bytes = &bytes[len..];
            self.offset += len;
            if self.offset == message.len() {
                self.messages.pop_front();
                self.offset = 0;
            }
        }
        true
    }
}

const UNSENT: u16 = 0x100;
