//! Exporters of keying material: RFC 8446 §7.5 for TLS 1.3, RFC 5705 for TLS 1.2.
//!
//! rustls keeps no exporter once it has handed over the traffic secrets. Its key log has the secret from which
//! keying material is derived. TLS 1.2 also needs the random of the server, which is in the plaintext of the
//! handshake.

use std::fmt;

use ktls_core::wire::{ContentType, HEADER_LEN};
use rustls::crypto::tls13::{HkdfExpander, OkmBlock};
use rustls::{SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};
use zeroize::Zeroizing;

use super::MAX_HANDSHAKE;
use super::early_data::VectorReader;
use crate::error::HandshakeError;

/// Derives keying material from the secrets of one connection. Its secret is wiped when it is dropped.
#[derive(Clone)]
pub struct KeyingMaterialExporter(ExporterKind);

#[derive(Clone)]
enum ExporterKind {
    Tls13 {
        suite: &'static Tls13CipherSuite,
        secret: Zeroizing<Vec<u8>>,
    },
    Tls12 {
        suite: &'static Tls12CipherSuite,
        master_secret: Zeroizing<Vec<u8>>,
        /// The random of the client, then that of the server.
        randoms: [u8; 2 * RANDOM_LEN],
    },
}

/// What rustls logs for the exporter.
#[derive(Clone)]
pub(super) struct LoggedSecret {
    pub(super) client_random: Vec<u8>,
    /// The exporter secret of TLS 1.3, or the master secret of TLS 1.2.
    pub(super) secret: Zeroizing<Vec<u8>>,
}

impl KeyingMaterialExporter {
    /// Returns the exporter of a connection, or `None` if keying material cannot be exported.
    ///
    /// In TLS 1.2 it can only be with an extended master secret (RFC 7627 §5.4).
    pub(super) fn new(
        suite: SupportedCipherSuite,
        logged: LoggedSecret,
        server_hello: Option<ServerHello>,
    ) -> Option<Self> {
        let suite = match suite {
            SupportedCipherSuite::Tls12(suite) => suite,
            SupportedCipherSuite::Tls13(suite) => {
                let secret = logged.secret;
                return Some(Self(ExporterKind::Tls13 { suite, secret }));
            }
        };
        let server_hello = server_hello.filter(|hello| hello.has_extended_master_secret)?;
        let randoms = [&logged.client_random[..], &server_hello.random].concat();
        Some(Self(ExporterKind::Tls12 {
            suite,
            master_secret: logged.secret,
            randoms: randoms.try_into().ok()?,
        }))
    }

    /// Fills `out` with keying material for `label` and `context`. In TLS 1.3 no context is the same as an empty
    /// one.
    ///
    /// # Errors
    /// Returns an error of kind `Config` if `out` is empty or too long, `context` is too long, or `label` is too
    /// long or reserved for TLS itself.
    pub fn derive(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), HandshakeError> {
        self.check(label, context, out.len())?;
        match &self.0 {
            ExporterKind::Tls13 { suite, secret } => {
                let hash = |bytes: &[u8]| suite.common.hash_provider.hash(bytes);
                let expander = suite.hkdf_provider.expander_for_okm(&OkmBlock::new(secret));
                let derived = expand_label(label, hash(&[]).as_ref(), |info| {
                    expander.expand_block(info)
                });
                let expander = suite.hkdf_provider.expander_for_okm(&derived);
                let context = hash(context.unwrap_or_default());
                fill(expander.as_ref(), context.as_ref(), out)
            }
            ExporterKind::Tls12 {
                suite,
                master_secret,
                randoms,
            } => {
                let mut seed = randoms.to_vec();
                if let Some(context) = context {
                    // The length was checked.
                    seed.extend((context.len() as u16).to_be_bytes());
                    seed.extend(context);
                }
                suite
                    .prf_provider
                    .for_secret(out, master_secret, label, &seed);
                Ok(())
            }
        }
    }

    /// Checks the arguments of [`KeyingMaterialExporter::derive`] for `len` bytes of keying material.
    ///
    /// # Errors
    /// Returns the errors of [`KeyingMaterialExporter::derive`].
    pub fn check(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        len: usize,
    ) -> Result<(), HandshakeError> {
        let refuse = |text| Err(HandshakeError::config(text));
        let most = self.max_len();
        if !(1..=most).contains(&len) {
            return refuse(format!(
                "{len} bytes of keying material are not from 1 to {most}"
            ));
        }
        let most = MAX_LABEL;
        if label.len() > most {
            return refuse(format!(
                "a label of {} bytes is longer than {most}",
                label.len()
            ));
        }
        let context = context.map_or(0, <[u8]>::len);
        if context > MAX_CONTEXT {
            return refuse(format!(
                "a context of {context} bytes is longer than {MAX_CONTEXT}"
            ));
        }
        if matches!(self.0, ExporterKind::Tls12 { .. }) && RESERVED.contains(&label) {
            let label = label.escape_ascii();
            return refuse(format!(
                "the label \"{label}\" is reserved for TLS 1.2 itself"
            ));
        }
        Ok(())
    }

    fn max_len(&self) -> usize {
        match &self.0 {
            ExporterKind::Tls13 { suite, .. } => 255 * suite.common.hash_provider.output_len(),
            ExporterKind::Tls12 { .. } => MAX_TLS12_LEN,
        }
    }
}

fn fill(expander: &dyn HkdfExpander, context: &[u8], out: &mut [u8]) -> Result<(), HandshakeError> {
    let len = out.len() as u16; // at most 255 times 64
    let info = LabelInfo::new(len, b"exporter", context);
    expander
        .expand_slice(&info.slices(), out)
        .map_err(|_| HandshakeError::config("too much keying material"))
}

/// Calls `expand` with the HkdfLabel of RFC 8446 §7.1 for a secret of one hash.
fn expand_label<T>(label: &[u8], context: &[u8], expand: impl FnOnce(&[&[u8]]) -> T) -> T {
    let info = LabelInfo::new(context.len() as u16, label, context);
    expand(&info.slices())
}

/// The HkdfLabel of RFC 8446 §7.1, in pieces.
struct LabelInfo<'a> {
    len: [u8; 2],
    label_len: [u8; 1],
    label: &'a [u8],
    context_len: [u8; 1],
    context: &'a [u8],
}

impl<'a> LabelInfo<'a> {
    /// The lengths of `label` and of `context`, a hash, have been checked.
    fn new(len: u16, label: &'a [u8], context: &'a [u8]) -> Self {
        Self {
            len: len.to_be_bytes(),
            label_len: [(LABEL_PREFIX.len() + label.len()) as u8],
            label,
            context_len: [context.len() as u8],
            context,
        }
    }

    fn slices(&self) -> [&[u8]; 6] {
        [
            &self.len,
            &self.label_len,
            LABEL_PREFIX,
            self.label,
            &self.context_len,
            self.context,
        ]
    }
}

/// The parts of a ServerHello that an exporter of TLS 1.2 needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ServerHello {
    random: [u8; RANDOM_LEN],
    has_extended_master_secret: bool,
}

/// Finds the ServerHello in the plaintext of a handshake.
#[derive(Default)]
pub(super) struct ServerHelloReader {
    /// The bytes of the server's handshake messages, until the first message is complete.
    message: Vec<u8>,
    hello: Option<ServerHello>,
    is_over: bool,
}

impl ServerHelloReader {
    pub(super) const fn hello(&self) -> Option<ServerHello> {
        self.hello
    }

    /// Reads whole records that the server sends.
    pub(super) fn read_records(&mut self, mut records: &[u8]) {
        while !self.is_over
            && let Some((header, rest)) = records.split_first_chunk::<HEADER_LEN>()
        {
            let len = super::body_len(*header).min(rest.len());
            let (body, rest) = rest.split_at(len);
            if header[0] == ContentType::HANDSHAKE.0 {
                self.read_fragment(body);
            }
            records = rest;
        }
    }

    /// Reads the body of a plaintext handshake record of the server.
    pub(super) fn read_fragment(&mut self, fragment: &[u8]) {
        if self.is_over {
            return;
        }
        self.message.extend_from_slice(fragment);
        let body_len = match self.message[..] {
            [SERVER_HELLO, high, middle, low, ..] => {
                u32::from_be_bytes([0, high, middle, low]) as usize
            }
            [] | [_] | [_, _] | [_, _, _] => return,
            _ => return self.finish(),
        };
        if let Some(body) = self.message.get(4..4 + body_len) {
            self.hello = parse_server_hello(body);
            self.finish();
        } else if self.message.len() > MAX_HANDSHAKE {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.is_over = true;
        self.message = Vec::new();
    }
}

fn parse_server_hello(body: &[u8]) -> Option<ServerHello> {
    let random = *body.get(2..)?.first_chunk()?;
    let mut rest = VectorReader(body.get(2 + RANDOM_LEN..)?);
    rest.read_vector(1)?; // session_id
    rest.read_number(2)?; // cipher_suite
    rest.read_number(1)?; // compression_method
    let mut extensions = VectorReader(rest.read_vector(2).unwrap_or_default());
    let mut has_extended_master_secret = false;
    while let Some(number) = extensions.read_number(2) {
        extensions.read_vector(2)?;
        has_extended_master_secret |= number == EXTENDED_MASTER_SECRET;
    }
    Some(ServerHello {
        random,
        has_extended_master_secret,
    })
}

impl fmt::Debug for KeyingMaterialExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyingMaterialExporter")
    }
}

const RANDOM_LEN: usize = 32;
/// The type of the ServerHello message (RFC 8446 §4).
const SERVER_HELLO: u8 = 2;
const EXTENDED_MASTER_SECRET: usize = 23;
const LABEL_PREFIX: &[u8] = b"tls13 ";
/// The longest label: with its prefix it has a length byte in TLS 1.3.
const MAX_LABEL: usize = 255 - LABEL_PREFIX.len();
/// The longest context: it has two length bytes in TLS 1.2.
const MAX_CONTEXT: usize = 0xffff;
/// RFC 5705 sets no limit.
const MAX_TLS12_LEN: usize = 0xffff;
/// Labels of TLS 1.2 itself (RFC 5705 §4, RFC 7627 §4): the result would be a key or a Finished.
const RESERVED: [&[u8]; 5] = [
    b"client finished",
    b"server finished",
    b"master secret",
    b"extended master secret",
    b"key expansion",
];
