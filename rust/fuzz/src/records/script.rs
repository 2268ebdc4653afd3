//! The peer that an input describes. It sends genuine records, forged records, and arbitrary bytes.

use ktls_aead::{Aead, AesGcmPreference};
use ktls_core::record::Framing;
use ktls_core::rekey::Reply;
use ktls_core::suite::{CIPHERS, Cipher, KeyLimits};
use ktls_core::wire::{
    ContentType, HEADER_LEN, KEY_UPDATE, MAX_PLAINTEXT, NEW_SESSION_TICKET, TLS12, TLS13,
};
use ktls_core::{CryptoInfo, Sealer};
use libfuzzer_sys::arbitrary::{Result, Unstructured};

/// A provider whose keys open records one by one: the keys of aws-lc are never interleaved.
pub(super) static ALONE: Aead = Aead::with(AesGcmPreference::AwsLc);
/// A provider whose keys open several records together, if the CPU supports it.
pub(super) static TOGETHER: Aead = Aead::with(AesGcmPreference::Auto);

/// The number of bytes on the wire after which a peer stops.
const ENOUGH: usize = 50_000;
/// The maximum number of pieces that a wire is split into, to bound the time of a run.
const MAX_PIECES: usize = 512;
/// A buffer size that suffices for the plaintext of any record.
pub(super) const MAX_ROOM: usize = 20_000;

/// A connection, and the bytes that arrive on it.
pub(super) struct PeerScript {
    pub(super) setup: ScriptSetup,
    pub(super) wire: Vec<u8>,
    /// The genuine records before the first other bytes.
    pub(super) sent: Vec<ScriptRecord>,
    /// The lengths of the pieces in which the wire arrives, used in a cycle; none is 0.
    pub(super) pieces: [usize; 4],
    /// The sizes of the reader's buffers, used in a cycle; none is 0.
    pub(super) rooms: [usize; 4],
}

/// The parameters of both ends.
#[derive(Clone, Copy)]
pub(super) struct ScriptSetup {
    pub(super) version: u16,
    cipher: &'static Cipher,
    /// The number of the first record.
    first: u64,
    pub(super) is_client: bool,
    /// Whether the kernel's limits for records apply instead of the RFC's.
    kernel: bool,
}

/// A record as its receiver should deliver it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct ScriptRecord {
    pub(super) record_type: u8,
    pub(super) text: Vec<u8>,
}

/// A step of a peer.
enum PeerStep<'a> {
    Send(u8, &'a [u8]),
    /// Sends handshake messages in two records, split at this offset.
    Handshake(Vec<u8>, usize),
    /// Sends a record with this type, these bytes and, in TLS 1.3, this many zeros of padding.
    Pad(u8, &'a [u8], usize),
    /// Sends a record of this length, which may be longer than the input.
    Long(usize),
    /// Sends a KeyUpdate and changes to the next key.
    KeyUpdate(Reply),
    /// Sends a record with one bit flipped.
    Forge(&'a [u8], usize),
    /// Sends bytes that are not a record.
    Raw(&'a [u8]),
}

impl ScriptSetup {
    fn read(input: &mut Unstructured<'_>) -> Result<Self> {
        let cipher = input.choose(&CIPHERS)?;
        let tls12 = input.arbitrary::<bool>()? || !cipher.in_tls13;
        let near_the_end = input.arbitrary::<bool>()?;
        let count = u64::from(input.arbitrary::<u8>()?);
        Ok(Self {
            version: if tls12 { TLS12 } else { TLS13 },
            cipher,
            first: if near_the_end {
                u64::MAX - count
            } else {
                count
            },
            is_client: input.arbitrary()?,
            kernel: input.arbitrary()?,
        })
    }

    /// Returns the key after `generation` updates.
    pub(super) fn info(&self, generation: u64) -> CryptoInfo {
        // Each generation has another key, since a key that was used is refused.
        let generation_bytes = generation.to_le_bytes();
        let bytes: [u8; 32] = std::array::from_fn(|i| generation_bytes[i % 8]);
        CryptoInfo::new(
            self.version,
            self.cipher.cipher_type,
            &bytes[..self.cipher.iv_len],
            &bytes[..self.cipher.key_len],
            &bytes[..self.cipher.salt_len],
            if generation == 0 { self.first } else { 0 },
        )
        .expect("the lengths are those of the cipher")
    }

    pub(super) fn framing(&self) -> fn(&Cipher, u16) -> Framing {
        if self.kernel {
            Framing::kernel
        } else {
            Framing::rfc
        }
    }
}

impl PeerScript {
    pub(super) fn read(input: &mut Unstructured<'_>) -> Result<Self> {
        let setup = ScriptSetup::read(input)?;
        let pieces = read_sizes(input)?;
        let rooms = read_sizes(input)?;
        let mut peer = ScriptedPeer::new(setup);
        while peer.wire.len() < ENOUGH && !input.is_empty() {
            peer.act(&PeerStep::read(input)?);
        }
        let at_least = peer.wire.len() / MAX_PIECES;
        Ok(Self {
            setup,
            wire: peer.wire,
            sent: peer.sent,
            pieces: pieces.map(|piece| piece.max(at_least)),
            rooms: rooms.map(|room| room.min(MAX_ROOM)),
        })
    }
}

/// Reads sizes of at least 1. Small sizes are as likely as those of a record.
fn read_sizes(input: &mut Unstructured<'_>) -> Result<[usize; 4]> {
    let mut sizes = [0; 4];
    for size in &mut sizes {
        let bits = input.int_in_range(0..=15)?;
        *size = 1 + usize::from(input.arbitrary::<u16>()? >> bits);
    }
    Ok(sizes)
}

impl<'a> PeerStep<'a> {
    fn read(input: &mut Unstructured<'a>) -> Result<Self> {
        let kind = input.int_in_range(0..=11)?;
        let len = usize::from(input.arbitrary::<u8>()?).min(input.len());
        Ok(match kind {
            0 | 1 => Self::Send(ContentType::APPLICATION_DATA.0, input.bytes(len)?),
            2 => Self::Send(ContentType::HANDSHAKE.0, input.bytes(len)?),
            3 | 4 => Self::Handshake(read_messages(input)?, len),
            5 => Self::Send(ContentType::ALERT.0, input.bytes(len)?),
            6 => Self::Send(input.arbitrary()?, input.bytes(len.min(input.len()))?),
            7 => Self::Pad(
                input.arbitrary()?,
                input.bytes(len.min(input.len()))?,
                input.int_in_range(0..=300)?,
            ),
            8 => Self::Long(input.int_in_range(0..=MAX_PLAINTEXT)?),
            9 => Self::KeyUpdate(*input.choose(&[Reply::NotRequested, Reply::Requested])?),
            10 => Self::Forge(input.bytes(len)?, usize::from(input.arbitrary::<u16>()?)),
            _ => Self::Raw(input.bytes(len)?),
        })
    }
}

/// Reads up to three handshake messages, some of kinds that the receiver handles, and some with a
/// wrong length.
fn read_messages(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut messages = Vec::new();
    for _ in 0..input.int_in_range(1..=3)? {
        let any = input.arbitrary()?;
        let message_type = *input.choose(&[KEY_UPDATE, NEW_SESSION_TICKET, 0, 1, any])?;
        let len = input.choose_index(6)?.min(input.len());
        let body = input.bytes(len)?;
        let is_wrong = input.int_in_range(0..=15)? == 1;
        let field = if is_wrong {
            input.arbitrary()?
        } else {
            len as u32
        };
        let [_, len @ ..] = field.to_be_bytes();
        messages.push(message_type);
        messages.extend_from_slice(&len);
        messages.extend_from_slice(body);
    }
    Ok(messages)
}

/// The sending end of a script.
struct ScriptedPeer {
    setup: ScriptSetup,
    sealer: Sealer,
    wire: Vec<u8>,
    sent: Vec<ScriptRecord>,
    /// Whether bytes were sent that are not a record of this connection.
    strayed: bool,
}

/// Limits that are never reached: record numbers near the last one exceed the limit of every key.
const ENDLESS: KeyLimits = KeyLimits {
    soft: u64::MAX,
    hard: u64::MAX,
};

impl ScriptedPeer {
    fn new(setup: ScriptSetup) -> Self {
        Self {
            setup,
            sealer: Sealer::new(setup.info(0), &ALONE)
                .expect("the provider has every cipher")
                .with_limits(ENDLESS),
            wire: Vec::new(),
            sent: Vec::new(),
            strayed: false,
        }
    }

    fn act(&mut self, step: &PeerStep<'_>) {
        match *step {
            PeerStep::Send(record_type, text) => self.send(record_type, text),
            PeerStep::Handshake(ref messages, at) => {
                let (a, b) = messages.split_at(at.min(messages.len()));
                self.send(ContentType::HANDSHAKE.0, a);
                self.send(ContentType::HANDSHAKE.0, b);
            }
            PeerStep::Pad(record_type, text, zeros) => self.pad(record_type, text, zeros),
            PeerStep::Long(len) => {
                self.send(ContentType::APPLICATION_DATA.0, &vec![len as u8; len]);
            }
            PeerStep::KeyUpdate(reply) => self.update_key(reply),
            PeerStep::Forge(text, bit) => self.forge(text, bit),
            PeerStep::Raw(bytes) => {
                self.wire.extend_from_slice(bytes);
                self.strayed |= !bytes.is_empty();
            }
        }
    }

    fn send(&mut self, record_type: u8, text: &[u8]) {
        if self.seal(record_type, text).is_some() {
            self.expect(record_type, text);
        }
    }

    /// Seals a record if numbers are left, and returns the offset where it starts.
    fn seal(&mut self, record_type: u8, text: &[u8]) -> Option<usize> {
        let start = self.wire.len();
        let mut record = vec![0; text.len() + self.sealer.overhead()];
        self.sealer.seal(record_type, text, &mut record).ok()?;
        self.wire.append(&mut record);
        Some(start)
    }

    /// Records that the receiver should deliver a record. In TLS 1.3 the last byte that is not zero
    /// is the type, even if it is part of `text` (RFC 8446 §5.4).
    fn expect(&mut self, record_type: u8, text: &[u8]) {
        let (mut record_type, mut text) = (record_type, text);
        if self.setup.version == TLS13 && record_type == 0 {
            let Some(last) = text.iter().rposition(|&byte| byte != 0) else {
                self.strayed = true;
                return;
            };
            (record_type, text) = (text[last], &text[..last]);
        }
        if !self.strayed {
            let text = text.to_vec();
            self.sent.push(ScriptRecord { record_type, text });
        }
    }

    fn pad(&mut self, record_type: u8, text: &[u8], zeros: usize) {
        if self.setup.version == TLS13 {
            self.send(0, &[text, &[record_type], &vec![0; zeros]].concat());
        } else {
            self.send(record_type, text);
        }
    }

    fn update_key(&mut self, reply: Reply) {
        self.send(ContentType::HANDSHAKE.0, &reply.message());
        let next = self.setup.info(self.sealer.generation() + 1);
        // TLS 1.2 has no next key; there the message is only an unexpected one.
        let _refused = self.sealer.rekey(next, &ALONE);
    }

    fn forge(&mut self, text: &[u8], bit: usize) {
        let Some(start) = self.seal(ContentType::APPLICATION_DATA.0, text) else {
            return;
        };
        // Only the body is changed: the header of TLS 1.3 carries no information except the length.
        let body = &mut self.wire[start + HEADER_LEN..];
        let bit = bit % (8 * body.len());
        body[bit / 8] ^= 1 << (bit % 8);
        self.strayed = true;
    }
}
