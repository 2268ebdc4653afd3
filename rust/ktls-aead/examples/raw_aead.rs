//! Runs aws-lc-rs without a record layer and without Python, for the benches.
//! `benches/records/raw.py` describes the lines on standard input.

use std::io::{self, BufRead, Write};
use std::time::Instant;

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};

const TAG_LEN: usize = 16;

fn main() -> io::Result<()> {
    let mut lines = io::stdin().lock().lines();
    let mut job = None;
    while let Some(line) = lines.next().transpose()? {
        let answer = match (line.as_str(), &mut job) {
            ("run", Some(job)) => RoundOfRecords::run(job).to_string(),
            ("show", Some(job)) => hex(&job.output),
            _ => {
                let input = lines.next().transpose()?.unwrap_or_default();
                job = RoundOfRecords::parse(&line, &unhex(&input).unwrap_or_default());
                let parsed = if job.is_some() { "ready" } else { "no job" };
                parsed.to_owned()
            }
        };
        writeln!(io::stdout(), "{answer}")?;
    }
    Ok(())
}

/// The records of a round, and how to process them.
struct RoundOfRecords {
    seals: bool,
    key: LessSafeKey,
    nonces: Vec<[u8; 12]>,
    aad: Vec<u8>,
    /// Bytes of inner plaintext in a record.
    len: usize,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl RoundOfRecords {
    fn parse(line: &str, input: &[u8]) -> Option<Self> {
        let words: Vec<_> = line.split(' ').collect();
        let ["job", op, cipher, len, records, key, iv, aad] = words[..] else {
            return None;
        };
        let (len, records) = (len.parse::<usize>().ok()?, records.parse::<u64>().ok()?);
        let iv = unhex(iv)?.try_into().ok()?;
        let seals = op == "seal";
        let key = UnboundKey::new(algorithm(cipher)?, &unhex(key)?).ok()?;
        let (from, to) = if seals { (0, TAG_LEN) } else { (TAG_LEN, 0) };
        let count = usize::try_from(records).ok()?;
        (input.len() == count * (len + from)).then(|| Self {
            seals,
            key: LessSafeKey::new(key),
            nonces: (0..records).map(|seq| nonce(iv, seq)).collect(),
            aad: unhex(aad).unwrap_or_default(),
            len,
            input: input.to_vec(),
            output: vec![0; count * (len + to)],
        })
    }

    /// Does one round; returns its nanoseconds.
    fn run(&mut self) -> u128 {
        let start = Instant::now();
        if self.seals {
            self.seal();
        } else {
            self.open();
        }
        start.elapsed().as_nanos()
    }

    fn seal(&mut self) {
        let inputs = self.input.chunks_exact(self.len);
        let outputs = self.output.chunks_exact_mut(self.len + TAG_LEN);
        for ((nonce, input), output) in self.nonces.iter().zip(inputs).zip(outputs) {
            let (ciphertext, tag) = output.split_at_mut(self.len);
            let (nonce, aad) = (Nonce::assume_unique_for_key(*nonce), Aad::from(&self.aad));
            self.key
                .seal_out_of_place_scatter(nonce, aad, input, ciphertext, &[], tag)
                .expect("the lengths fit");
        }
    }

    fn open(&mut self) {
        let inputs = self.input.chunks_exact(self.len + TAG_LEN);
        let outputs = self.output.chunks_exact_mut(self.len);
        for ((nonce, input), output) in self.nonces.iter().zip(inputs).zip(outputs) {
            let (ciphertext, tag) = input.split_at(self.len);
            let (nonce, aad) = (Nonce::assume_unique_for_key(*nonce), Aad::from(&self.aad));
            self.key
                .open_separate_gather(nonce, aad, ciphertext, tag, output)
                .expect("the record is authentic");
        }
    }
}

fn algorithm(cipher: &str) -> Option<&'static Algorithm> {
    match cipher {
        "AES_GCM_128" => Some(&AES_128_GCM),
        "AES_GCM_256" => Some(&AES_256_GCM),
        "CHACHA20_POLY1305" => Some(&CHACHA20_POLY1305),
        _ => None,
    }
}

/// Returns the nonce of a record (RFC 8446 §5.3).
fn nonce(mut iv: [u8; 12], seq: u64) -> [u8; 12] {
    for (byte, seq) in iv[4..].iter_mut().zip(seq.to_be_bytes()) {
        *byte ^= seq;
    }
    iv
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}
