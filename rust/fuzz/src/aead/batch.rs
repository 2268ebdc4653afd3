//! The batch of records that an input describes.

use ktls_core::aead::{Aad, NonceBytes};
use ktls_core::suite::AeadAlgorithm;
use ktls_core::wire::TAG_LEN;
use libfuzzer_sys::arbitrary::{Result, Unstructured};

/// The maximum number of records in a batch: three groups of the engine.
const MAX_RECORDS: usize = 24;

/// A key and the records that it seals.
pub(super) struct SealedUnderOneKey {
    pub(super) algorithm: AeadAlgorithm,
    key: [u8; 32],
    pub(super) records: Vec<PlannedRecord>,
}

/// A record to be sealed, and the damage to it before it is opened.
pub(super) struct PlannedRecord {
    pub(super) nonce: NonceBytes,
    pub(super) aad: Aad,
    pub(super) plaintext: Vec<u8>,
    pub(super) inner_type: Option<u8>,
    /// The number of bytes before it in the input and in the output.
    pub(super) gaps: (usize, usize),
    damage: WireDamage,
    /// Whether the last byte of its plaintext, if there is one, is returned separately by opening.
    apart: bool,
}

/// The damage to a record between its sealing and its opening.
enum WireDamage {
    None,
    /// This bit of ciphertext and tag is flipped.
    Bit(usize),
    /// This many bytes are missing at its end.
    Cut(usize),
    /// This bit of the receiver's nonce is flipped.
    Nonce(usize),
    /// This bit of the receiver's additional data is flipped.
    Aad(usize),
}

/// A record to be opened.
pub(super) struct ReceivedRecord {
    pub(super) nonce: NonceBytes,
    pub(super) aad: Aad,
    pub(super) sealed: Vec<u8>,
    pub(super) gaps: (usize, usize),
    pub(super) apart: bool,
    /// Whether it must be refused.
    pub(super) damaged: bool,
}

impl SealedUnderOneKey {
    pub(super) fn read(input: &mut Unstructured<'_>) -> Result<Self> {
        let algorithm = *input.choose(&[AeadAlgorithm::Aes128Gcm, AeadAlgorithm::Aes256Gcm])?;
        let key = input.arbitrary()?;
        let mut records = Vec::new();
        while records.len() < MAX_RECORDS && !input.is_empty() {
            let record = PlannedRecord::read(input, records.last())?;
            records.push(record);
        }
        Ok(Self {
            algorithm,
            key,
            records,
        })
    }

    pub(super) fn key(&self) -> &[u8] {
        match self.algorithm {
            AeadAlgorithm::Aes128Gcm => &self.key[..16],
            _ => &self.key,
        }
    }

    /// Returns the records as they arrive, after the damage.
    pub(super) fn received(&self, wire: &[Vec<u8>]) -> Vec<ReceivedRecord> {
        let both = self.records.iter().zip(wire);
        both.map(|(record, sealed)| record.received(sealed))
            .collect()
    }
}

impl PlannedRecord {
    fn read(input: &mut Unstructured<'_>, before: Option<&Self>) -> Result<Self> {
        let len = read_len(input, before)?;
        let inner_type: Option<u8> = input.arbitrary()?;
        Ok(Self {
            nonce: input.arbitrary()?,
            aad: read_aad(input, before, len + usize::from(inner_type.is_some()))?,
            plaintext: text(len, input.arbitrary()?),
            inner_type,
            gaps: (input.int_in_range(0..=64)?, input.int_in_range(0..=64)?),
            damage: WireDamage::read(input)?,
            apart: input.arbitrary()?,
        })
    }

    /// Returns the length of ciphertext and tag.
    pub(super) fn sealed_len(&self) -> usize {
        self.plaintext.len() + usize::from(self.inner_type.is_some()) + TAG_LEN
    }

    fn received(&self, sealed: &[u8]) -> ReceivedRecord {
        let mut received = ReceivedRecord {
            nonce: self.nonce,
            aad: self.aad,
            sealed: sealed.to_vec(),
            gaps: self.gaps,
            apart: false,
            damaged: true,
        };
        match self.damage {
            WireDamage::None => received.damaged = false,
            WireDamage::Bit(bit) => flip(&mut received.sealed, bit),
            WireDamage::Cut(count) => {
                // A record without a tag is refused before the cipher.
                let most = sealed.len() - TAG_LEN;
                let count = (count + 1).min(most);
                received.sealed.truncate(sealed.len() - count);
                received.damaged = count > 0;
            }
            WireDamage::Nonce(bit) => flip(&mut received.nonce, bit),
            WireDamage::Aad(bit) => received.aad = other_aad(self.aad, bit),
        }
        received.apart = self.apart && received.sealed.len() > TAG_LEN;
        received
    }
}

impl WireDamage {
    fn read(input: &mut Unstructured<'_>) -> Result<Self> {
        let place = usize::from(input.arbitrary::<u16>()?);
        Ok(match input.int_in_range(0..=31)? {
            1 => Self::Bit(place),
            2 => Self::Cut(place),
            3 => Self::Nonce(place),
            4 => Self::Aad(place),
            _ => Self::None,
        })
    }
}

/// Reads a length, most often a short one. The length of the previous record is likely, since
/// records of equal length share work.
fn read_len(input: &mut Unstructured<'_>, before: Option<&PlannedRecord>) -> Result<usize> {
    match input.int_in_range(0..=7)? {
        0..=2 => Ok(usize::from(input.arbitrary::<u8>()?)),
        3..=5 => input.int_in_range(0..=1200),
        6 => Ok(before.map_or(0, |record| record.plaintext.len())),
        _ => input.int_in_range(0..=17_000),
    }
}

/// Reads additional data: that of TLS 1.3, of TLS 1.2, of the previous record, or any other.
fn read_aad(
    input: &mut Unstructured<'_>,
    before: Option<&PlannedRecord>,
    inner_len: usize,
) -> Result<Aad> {
    let [.., high, low] = (inner_len + TAG_LEN).to_be_bytes();
    let bytes = input.arbitrary::<[u8; Aad::MAX_LEN]>();
    Ok(match input.int_in_range(0..=7)? {
        0..=3 => Aad::header([23, 3, 3, high, low]),
        4 => Aad::numbered(input.arbitrary()?, [23, 3, 3, high, low]),
        5 => before.map_or(Aad::NONE, |record| record.aad),
        _ => fitting(&bytes?[..input.int_in_range(0..=Aad::MAX_LEN)?]),
    })
}

/// Returns additional data of the same length with one bit flipped, or a single byte if there was
/// none.
fn other_aad(aad: Aad, bit: usize) -> Aad {
    let mut bytes = aad.bytes().as_ref().to_vec();
    if bytes.is_empty() {
        return fitting(&[bit as u8]);
    }
    flip(&mut bytes, bit);
    fitting(&bytes)
}

fn fitting(bytes: &[u8]) -> Aad {
    Aad::try_from(bytes).expect("it is not longer than the maximum")
}

fn flip(bytes: &mut [u8], bit: usize) {
    let bit = bit % (8 * bytes.len());
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// Returns pseudorandom bytes (splitmix64). Their values do not affect the path through the cipher,
/// so the fuzzer need not choose them. The seed 0 returns zeros, so that the ciphertext is the
/// keystream.
fn text(len: usize, seed: u16) -> Vec<u8> {
    let word = |i: u64| {
        let z = (i + 1).wrapping_mul(u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).to_le_bytes()
    };
    (0..).flat_map(word).take(len).collect()
}
