//! The traffic keys of TLS 1.2 (RFC 5246 §6.3).

use zeroize::Zeroizing;

use crate::aead::Provider;
use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::suite::{Cipher, Suite};
use crate::wire::TLS12;

/// The inputs of the key derivation of TLS 1.2 that a handshake agreed on.
#[derive(Clone, Copy)]
pub struct Tls12Secrets<'a> {
    /// The number of the suite in the IANA registry.
    pub suite: u16,
    /// The master secret: 48 bytes.
    pub master_secret: &'a [u8],
    /// The random bytes of the ClientHello: 32 bytes.
    pub client_random: &'a [u8],
    /// The random bytes of the ServerHello: 32 bytes.
    pub server_random: &'a [u8],
}

/// Where the records of one direction continue.
#[derive(Clone, Copy)]
pub struct Tls12Start<'a> {
    /// The explicit nonce of the next record: 8 bytes. Not used by suites without an explicit
    /// nonce.
    pub explicit_nonce: &'a [u8],
    /// The number of the next record.
    pub rec_seq: u64,
}

const MASTER_LEN: usize = 48;
const RANDOM_LEN: usize = 32;
const EXPLICIT_LEN: usize = 8;

impl Tls12Secrets<'_> {
    /// Derives the keys of both directions: the client's and the server's.
    ///
    /// # Errors
    /// - [`Error::UnknownSuite12`] if the suite is not in [`crate::suite::TLS12_SUITES`].
    /// - [`Error::BadLength`] if a secret, a random or a nonce has the wrong length.
    pub fn derive(
        self,
        client: Tls12Start<'_>,
        server: Tls12Start<'_>,
        provider: &dyn Provider,
    ) -> Result<(CryptoInfo, CryptoInfo), Error> {
        let suite = Suite::by_id12(self.suite)?;
        let cipher = Cipher::by_type(suite.cipher_type)?;
        check_len("the master secret", self.master_secret, MASTER_LEN)?;
        check_len("the client random", self.client_random, RANDOM_LEN)?;
        check_len("the server random", self.server_random, RANDOM_LEN)?;
        let fixed_iv_len = cipher.salt_len + cipher.iv_len - cipher.explicit_len;
        let block = self.key_block(suite, 2 * (cipher.key_len + fixed_iv_len), provider)?;
        let (keys, ivs) = block.split_at(2 * cipher.key_len);
        let (client_key, server_key) = keys.split_at(cipher.key_len);
        let (client_iv, server_iv) = ivs.split_at(fixed_iv_len);
        Ok((
            client.crypto_info(cipher, client_key, client_iv)?,
            server.crypto_info(cipher, server_key, server_iv)?,
        ))
    }

    fn key_block(
        self,
        suite: &Suite,
        len: usize,
        provider: &dyn Provider,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        // The server's random comes first here, unlike in the derivation of the master secret.
        let seed = [self.server_random, self.client_random].concat();
        let mut block = Zeroizing::new(vec![0; len]);
        provider.prf(
            suite.hash,
            self.master_secret,
            b"key expansion",
            &seed,
            &mut block,
        )?;
        Ok(block)
    }
}

impl Tls12Start<'_> {
    fn crypto_info(self, cipher: &Cipher, key: &[u8], iv: &[u8]) -> Result<CryptoInfo, Error> {
        check_len("the explicit nonce", self.explicit_nonce, EXPLICIT_LEN)?;
        let (salt, rest) = iv.split_at(cipher.salt_len);
        let iv = if cipher.explicit_len > 0 {
            self.explicit_nonce
        } else {
            rest
        };
        CryptoInfo::new(TLS12, cipher.cipher_type, iv, key, salt, self.rec_seq)
    }
}

const fn check_len(what: &'static str, bytes: &[u8], want: usize) -> Result<(), Error> {
    if bytes.len() == want {
        return Ok(());
    }
    Err(Error::BadLength {
        what,
        len: bytes.len(),
        want,
    })
}
