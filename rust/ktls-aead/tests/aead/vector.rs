//! Published test vectors; `tests/vectors/aead/README.md` names their sources.

use std::path::Path;

use ktls_aead::{Aead, AesGcmPreference};
use ktls_core::Error;

use crate::job::{Context, cipher};

/// A test vector: one line of a file.
struct Vector {
    name: String,
    context: Context,
    plaintext: Vec<u8>,
    sealed: Vec<u8>,
    valid: bool,
}

impl Vector {
    fn parse(provider: &Aead, cipher_name: &str, line: &str) -> Self {
        let fields: Vec<_> = line.split('\t').collect();
        let [name, key, nonce, aad, plaintext, ciphertext, tag, result] = fields[..] else {
            panic!("{cipher_name}: {} fields in {line:?}", fields.len());
        };
        let algorithm = cipher(cipher_name).algorithm;
        let nonce = hex(nonce).try_into().unwrap();
        Self {
            name: format!("{cipher_name} {name}"),
            context: Context::new(provider, algorithm, &hex(key), nonce, &hex(aad)),
            plaintext: hex(plaintext),
            sealed: [hex(ciphertext), hex(tag)].concat(),
            valid: result == "valid",
        }
    }

    fn check(&self) {
        let opened = self.context.open(&self.sealed);
        if !self.valid {
            assert_eq!(opened, Err(Error::BadTag), "{}", self.name);
            return;
        }
        assert_eq!(opened.as_ref(), Ok(&self.plaintext), "{}", self.name);
        let sealed = self.context.seal(&self.plaintext, None);
        assert_eq!(sealed, self.sealed, "{}", self.name);
        // Once more as in TLS 1.3, with the last byte as content type.
        if let Some((&last, data)) = self.plaintext.split_last() {
            let sealed = self.context.seal(data, Some(last));
            assert_eq!(sealed, self.sealed, "{}", self.name);
        }
    }
}

/// Checks all vectors of a cipher, those of AES-GCM by both implementations; returns how many are
/// valid, and how many are not.
fn check_all(cipher_name: &str) -> (usize, usize) {
    let [auto, aws_lc] = [AesGcmPreference::Auto, AesGcmPreference::AwsLc].map(Aead::with);
    let vectors = read(&auto, cipher_name);
    let others = read(&aws_lc, cipher_name);
    vectors.iter().chain(&others).for_each(Vector::check);
    let valid = vectors.iter().filter(|vector| vector.valid).count();
    (valid, vectors.len() - valid)
}

fn read(provider: &Aead, cipher_name: &str) -> Vec<Vector> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/aead");
    let path = dir.join(cipher_name.to_lowercase() + ".tsv");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .skip(1)
        .map(|line| Vector::parse(provider, cipher_name, line))
        .collect()
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn aes_gcm_128() {
    assert_eq!(check_all("AES_GCM_128"), (82, 42));
}

#[test]
fn aes_gcm_256() {
    assert_eq!(check_all("AES_GCM_256"), (80, 42));
}

#[test]
fn aes_ccm_128() {
    assert_eq!(check_all("AES_CCM_128"), (49, 27));
}

#[test]
fn chacha20_poly1305() {
    assert_eq!(check_all("CHACHA20_POLY1305"), (121, 60));
}

#[test]
fn sm4_gcm() {
    assert_eq!(check_all("SM4_GCM"), (26, 27));
}

#[test]
fn sm4_ccm() {
    assert_eq!(check_all("SM4_CCM"), (40, 27));
}

#[test]
fn aria_gcm_128() {
    assert_eq!(check_all("ARIA_GCM_128"), (25, 27));
}

#[test]
fn aria_gcm_256() {
    assert_eq!(check_all("ARIA_GCM_256"), (25, 27));
}
