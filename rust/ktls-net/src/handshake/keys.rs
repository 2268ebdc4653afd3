//! Conversion of rustls's keys to the kernel's structs.

use ktls_core::session::{KeySource, SecretChain};
use ktls_core::suite::Cipher;
use ktls_core::wire::{NEW_SESSION_TICKET, TLS12};
use ktls_core::{CryptoInfo, Direction, Error, TrafficSecret};
use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{ConnectionTrafficSecrets, ProtocolVersion};

use super::message_limits::MAX_TICKET;

/// The source of the next keys of a connection that rustls began and, at a client, its session
/// store.
pub(super) struct RustlsKeys<Data> {
    tls: KernelConnection<Data>,
    /// The secrets, in TLS 1.3. rustls has them as well, but does not return them.
    chain: Option<SecretChain>,
}

impl<Data> RustlsKeys<Data> {
    pub(super) const fn new(tls: KernelConnection<Data>, chain: Option<SecretChain>) -> Self {
        Self { tls, chain }
    }

    fn next_key(&mut self, direction: Direction) -> Result<CryptoInfo, Error> {
        self.chain
            .as_mut()
            .ok_or(Error::NoRekeyIn12)?
            .next(direction)
    }

    fn secret_of(&self, direction: Direction) -> Option<TrafficSecret> {
        self.chain.as_ref()?.secret(direction)
    }

    fn is_tls13(&self) -> bool {
        self.tls.protocol_version() == ProtocolVersion::TLSv1_3
    }
}

impl KeySource for RustlsKeys<ServerConnectionData> {
    fn is_client(&self) -> bool {
        false
    }

    fn next(&mut self, direction: Direction) -> Result<CryptoInfo, Error> {
        self.next_key(direction)
    }

    fn ticket(&mut self, _body: &[u8]) -> Result<(), Error> {
        Err(UNEXPECTED_TICKET)
    }

    fn secret(&self, direction: Direction) -> Option<TrafficSecret> {
        self.secret_of(direction)
    }
}

impl KeySource for RustlsKeys<ClientConnectionData> {
    fn is_client(&self) -> bool {
        true
    }

    fn next(&mut self, direction: Direction) -> Result<CryptoInfo, Error> {
        self.next_key(direction)
    }

    fn ticket(&mut self, body: &[u8]) -> Result<(), Error> {
        if !self.is_tls13() {
            return Err(UNEXPECTED_TICKET);
        }
        if body.len() > MAX_TICKET {
            return Ok(()); // The next ClientHello could not hold it.
        }
        self.tls
            .handle_new_session_ticket(body)
            .map_err(|_| Error::BadTicket)
    }

    fn secret(&self, direction: Direction) -> Option<TrafficSecret> {
        self.secret_of(direction)
    }
}

/// Returns the kernel's struct for a key under which `rec_seq` records are already on the wire.
pub(super) fn crypto_info(
    version: u16,
    rec_seq: u64,
    secrets: &ConnectionTrafficSecrets,
) -> Result<CryptoInfo, Error> {
    let (cipher_type, key, iv) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (AES_GCM_128, key, iv),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (AES_GCM_256, key, iv),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (CHACHA20_POLY1305, key, iv),
        _ => return Err(CIPHER_MISSING),
    };
    let (salt, rest) = iv.as_ref().split_at(Cipher::by_type(cipher_type)?.salt_len);
    match <[u8; 8]>::try_from(rest) {
        Ok(explicit) if version == TLS12 => {
            let start = first_unused(u64::from_be_bytes(explicit), rec_seq).to_be_bytes();
            CryptoInfo::new(version, cipher_type, &start, key.as_ref(), salt, rec_seq)
        }
        _ => CryptoInfo::new(version, cipher_type, rest, key.as_ref(), salt, rec_seq),
    }
}

/// Returns the first explicit nonce that our sealer may use for TLS 1.2 AES-GCM.
///
/// rustls made the nonces of its records as `start ^ n` for `n < used`. Our sealer counts up by one
/// per record, and under one key no nonce may repeat (RFC 5288 §3). All `n < used` fit in the low
/// bits of `used - 1`, so rustls's nonces share all higher bits with `start`. We begin with the
/// smallest number after all numbers that share these bits. Counting up from there reaches one of
/// them again only after the 64 bits wrap around, and a key seals far fewer records (RFC 8446
/// §5.5). A receiver takes the nonce from each record, so it does not matter where we start.
fn first_unused(start: u64, used: u64) -> u64 {
    let Some(last) = used.checked_sub(1) else {
        return start;
    };
    let low_bits = u64::MAX.checked_shr(last.leading_zeros()).unwrap_or(0);
    (start | low_bits).wrapping_add(1)
}

const AES_GCM_128: u16 = 51;
const AES_GCM_256: u16 = 52;
const CHACHA20_POLY1305: u16 = 54;
const CIPHER_MISSING: Error = Error::CipherMissing {
    cipher: "the suite's cipher",
};
const UNEXPECTED_TICKET: Error = Error::UnexpectedMessage {
    message_type: NEW_SESSION_TICKET,
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ktls_core::wire::TLS13;
    use rustls::crypto::cipher::{AeadKey, Iv};

    use super::*;

    #[test]
    fn explicit_nonces_of_tls12_never_repeat_those_of_rustls() {
        for start in [0, 1, 0xfe, 0x1234_5678_9abc_def0, u64::MAX - 2, u64::MAX] {
            for used in 0..=70 {
                let theirs: HashSet<u64> = (0..used).map(|n| start ^ n).collect();
                let first = first_unused(start, used);
                let ours = (0..1_000).map(|n| first.wrapping_add(n));
                let twice = ours.into_iter().find(|nonce| theirs.contains(nonce));
                assert_eq!(twice, None, "start {start:#x}, {used} used");
            }
        }
    }

    #[test]
    fn after_finished_alone_the_next_nonce_is_one_more() {
        assert_eq!(first_unused(41, 1), 42);
        assert_eq!(first_unused(u64::MAX, 1), 0);
        assert_eq!(first_unused(41, 0), 41);
        assert_eq!(
            first_unused(7, u64::MAX),
            0,
            "every bit may differ: the whole range is skipped"
        );
    }

    #[test]
    fn salt_and_iv_are_cut_as_the_kernel_wants_them() {
        let iv = Iv::copy(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let key = AeadKey::from([0xaa; 32]);
        let chacha = ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv };
        let info = crypto_info(TLS12, 1, &chacha).unwrap();
        assert_eq!(
            (info.salt().len(), info.iv().len(), info.rec_seq),
            (0, 12, 1)
        );

        let (key, iv) = (AeadKey::from([0xaa; 32]), Iv::copy(info.iv()));
        let gcm = ConnectionTrafficSecrets::Aes256Gcm { key, iv };
        let info = crypto_info(TLS13, 9, &gcm).unwrap();
        assert_eq!(
            (info.salt(), info.iv()),
            (&[1, 2, 3, 4][..], &[5, 6, 7, 8, 9, 10, 11, 12][..])
        );
        let info = crypto_info(TLS12, 1, &gcm).unwrap();
        assert_eq!(info.iv(), [5, 6, 7, 8, 9, 10, 11, 13]);
    }
}
