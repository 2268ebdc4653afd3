//! Early data of clients that have their ticket from another server (RFC 8446 §4.2.10).

use std::io::Write;
use std::sync::Arc;

use ktls_aead::PROVIDER;
use ktls_core::Opener;
use ktls_net::handshake::{Handshake, HandshakeError, ServerConfig};
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ServerSessionMemoryCache;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use crate::pair::take;
use crate::pki::{NAME, PKI};

const X25519: &[&dyn SupportedKxGroup] = &[kx_group::X25519];
/// Key exchange groups of which our server supports only the second, so it asks for a second hello.
const RETRIED: &[&dyn SupportedKxGroup] = &[kx_group::MLKEM1024, kx_group::SECP384R1];

/// Returns a client with a ticket of a rustls server that accepts early data.
fn with_ticket(kx_groups: &[&'static dyn SupportedKxGroup], fragment: usize) -> ClientConnection {
    let root = CertificateDer::from_pem_slice(PKI.authority.cert.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let mut provider = default_provider();
    provider.kx_groups = kx_groups.to_vec();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.enable_early_data = true;
    config.max_fragment_size = Some(fragment);
    let config = Arc::new(config);
    let mut first = connect(&config);
    let mut issuer = issuer();
    for _ in 0..4 {
        let mut bytes = Vec::new();
        while first.wants_write() {
            first.write_tls(&mut bytes).unwrap();
        }
        issuer.read_tls(&mut &bytes[..]).unwrap();
        issuer.process_new_packets().unwrap();
        bytes.clear();
        while issuer.wants_write() {
            issuer.write_tls(&mut bytes).unwrap();
        }
        read(&mut first, &bytes);
    }
    connect(&config)
}

fn issuer() -> ServerConnection {
    let chain = CertificateDer::pem_slice_iter(PKI.ecdsa.cert.as_bytes());
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(PKI.ecdsa.key.as_bytes()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.max_early_data_size = 1 << 20;
    config.session_storage = ServerSessionMemoryCache::new(8);
    ServerConnection::new(Arc::new(config)).unwrap()
}

fn connect(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from(NAME).unwrap();
    ClientConnection::new(config.clone(), name).unwrap()
}

fn read(client: &mut ClientConnection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).unwrap();
        client.process_new_packets().unwrap();
    }
}

/// Runs a handshake with this much early data, in pieces of `step` bytes.
fn shake(
    client: &mut ClientConnection,
    size: usize,
    step: usize,
) -> Result<Handshake, HandshakeError> {
    let config = ServerConfig::new(&PKI.ecdsa.server()).unwrap();
    let mut server = Handshake::server(&config).unwrap();
    let mut early_data = client
        .early_data()
        .expect("a ticket that allows early data");
    early_data.write_all(&vec![b'e'; size]).unwrap();
    for _ in 0..4 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        for piece in bytes.chunks(step) {
            if let Err(error) = server.receive(piece) {
                assert_ne!(server.outgoing(), b"", "an alert is owed: {error}");
                return Err(error);
            }
        }
        read(client, &take(&mut server));
    }
    assert!(!client.is_early_data_accepted());
    Ok(server)
}

#[test]
fn sixteen_kibibytes_of_early_data_are_skipped_however_they_are_cut() {
    for kx_groups in [X25519, RETRIED] {
        for (fragment, step) in [
            (16384, usize::MAX),
            (16384, 1),
            (1000, 700),
            (33, usize::MAX),
        ] {
            let mut client = with_ticket(kx_groups, fragment.max(33));
            let server = shake(&mut client, 16384, step).unwrap();
            let server = server.finish().unwrap();
            client.writer().write_all(b"after").unwrap();
            let mut record = Vec::new();
            client.write_tls(&mut record).unwrap();
            let mut opener = Opener::new(server.rx, &PROVIDER).unwrap();
            let mut plaintext = [0; 64];
            let inner = opener.open(&record, &mut plaintext).unwrap();
            assert_eq!(&plaintext[..inner.len], b"after", "{fragment}, {step}");
        }
    }
}

#[test]
fn more_early_data_is_refused_with_an_alert() {
    for (kx_groups, size, fragment) in [
        (X25519, 16385, 16384),
        (X25519, 50_000, 16384),
        (X25519, 17_000, 40),
        (RETRIED, 16385, 16384),
    ] {
        let mut client = with_ticket(kx_groups, fragment);
        let error = shake(&mut client, size, usize::MAX).unwrap_err();
        let text = "the client sent more than 16384 bytes of early data";
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_client_that_offers_early_data_and_sends_none_is_served() {
    let mut client = with_ticket(X25519, 16384);
    assert!(shake(&mut client, 0, 1).unwrap().is_complete());
}
