//! AES (FIPS 197) and GCM (SP 800-38D) as the standards write them, bit by bit, one block at a
//! time.

/// The S-box (FIPS 197 §5.1.1).
const SBOX: [u8; 256] = {
    let mut sbox = [0; 256];
    let mut i = 0;
    while i < 256 {
        let inverse = power(i as u8, 254);
        let mut byte = 0x63;
        let mut turn = 0;
        while turn < 5 {
            byte ^= inverse.rotate_left(turn);
            turn += 1;
        }
        sbox[i] = byte;
        i += 1;
    }
    sbox
};

/// Returns the product of two bytes (FIPS 197 §4.2).
const fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b > 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        a = (a << 1) ^ ((a >> 7) * 0x1b);
        b >>= 1;
    }
    product
}

/// Returns the power of a byte (FIPS 197 §4.2).
const fn power(a: u8, n: u8) -> u8 {
    let (mut result, mut i) = (1, 0);
    while i < n {
        result = times(result, a);
        i += 1;
    }
    result
}

/// Does SubBytes and ShiftRows (FIPS 197 §5.1.1 and §5.1.2).
pub(super) fn substitute_and_shift(block: [u8; 16]) -> [u8; 16] {
    std::array::from_fn(|i| SBOX[usize::from(block[(i + 4 * (i % 4)) % 16])])
}

/// Does MixColumns (FIPS 197 §5.1.3).
pub(super) fn mix(block: [u8; 16]) -> [u8; 16] {
    std::array::from_fn(|i| {
        let row = |n: usize| block[i / 4 * 4 + (i + n) % 4];
        times(row(0), 2) ^ times(row(1), 3) ^ row(2) ^ row(3)
    })
}

/// The cipher: its round keys.
pub(super) struct Aes(Vec<[u8; 16]>);

impl Aes {
    /// Expands a key (FIPS 197 §5.2).
    pub(super) fn new(key: &[u8]) -> Self {
        let in_key = key.len() / 4;
        let mut words: Vec<[u8; 4]> = key.as_chunks().0.to_vec();
        for i in in_key..4 * (in_key + 7) {
            let mut word = words[i - 1];
            if i % in_key == 0 {
                word.rotate_left(1);
                word = word.map(|byte| SBOX[usize::from(byte)]);
                word[0] ^= power(2, (i / in_key - 1) as u8);
            } else if in_key > 6 && i % in_key == 4 {
                word = word.map(|byte| SBOX[usize::from(byte)]);
            }
            words.push(std::array::from_fn(|n| words[i - in_key][n] ^ word[n]));
        }
        let rounds = words.as_chunks::<4>().0.iter();
        Self(
            rounds
                .map(|words| words.concat().try_into().unwrap())
                .collect(),
        )
    }

    fn encrypt(&self, block: u128) -> u128 {
        let (first, rest) = self.0.split_first().unwrap();
        let (last, rounds) = rest.split_last().unwrap();
        let mut block = xored(block.to_be_bytes(), first);
        for key in rounds {
            block = xored(mix(substitute_and_shift(block)), key);
        }
        u128::from_be_bytes(xored(substitute_and_shift(block), last))
    }
}

fn xored(a: [u8; 16], b: &[u8; 16]) -> [u8; 16] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

/// Returns the product of two blocks (SP 800-38D §6.3).
fn product(x: u128, y: u128) -> u128 {
    let (mut z, mut v) = (0, y);
    for i in (0..128).rev() {
        if x >> i & 1 == 1 {
            z ^= v;
        }
        v = (v >> 1) ^ ((v & 1) * (0xe1 << 120));
    }
    z
}

/// Returns ciphertext and tag (SP 800-38D §7.1).
pub(super) fn seal(aes: &Aes, nonce: [u8; 12], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut first = [0; 16];
    first[..12].copy_from_slice(&nonce);
    let counter = u128::from_be_bytes(first) | 1;
    let mut sealed = Vec::new();
    for (i, block) in plaintext.chunks(16).enumerate() {
        let stream = aes.encrypt(counter + 1 + i as u128).to_be_bytes();
        sealed.extend(block.iter().zip(stream).map(|(a, b)| a ^ b));
    }
    let h = aes.encrypt(0);
    let mut hash = 0;
    for block in aad.chunks(16).chain(sealed.chunks(16)) {
        let mut padded = [0; 16];
        padded[..block.len()].copy_from_slice(block);
        hash = product(hash ^ u128::from_be_bytes(padded), h);
    }
    let lengths = (aad.len() as u128) << 67 | (sealed.len() as u128) << 3;
    let tag = product(hash ^ lengths, h) ^ aes.encrypt(counter);
    sealed.extend(tag.to_be_bytes());
    sealed
}
