//! Handshakes with a rustls client that has rustls's own record layer: both record layers must
//! agree.

use std::io::{Read, Write};
use std::sync::Arc;

use ktls_aead::PROVIDER;
use ktls_core::Sealer;
use ktls_net::handshake::{EstablishedConnection, Handshake, ServerConfig, ServerOptions};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};

use crate::pair::{open, take};
use crate::pki::{NAME, PKI};

fn client(kx_groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(PKI.authority.cert.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let mut provider = default_provider();
    provider.kx_groups = kx_groups;
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(NAME).unwrap();
    ClientConnection::new(Arc::new(config), name).unwrap()
}

fn written(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

fn read(client: &mut ClientConnection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).unwrap();
        client.process_new_packets().unwrap();
    }
}

fn shake(options: &ServerOptions<'_>, client: &mut ClientConnection) -> EstablishedConnection {
    let mut server = Handshake::server(&ServerConfig::new(options).unwrap()).unwrap();
    for _ in 0..5 {
        server.receive(&written(client)).unwrap();
        let flight = take(&mut server);
        read(client, &flight);
    }
    server.finish().unwrap()
}

#[test]
fn a_retried_hello_ends_in_a_connection() {
    let mut client = client(vec![kx_group::MLKEM1024, kx_group::SECP384R1]);
    let server = shake(&PKI.ecdsa.server(), &mut client);
    assert_eq!(
        client.handshake_kind(),
        Some(HandshakeKind::FullWithHelloRetryRequest)
    );
    assert_eq!(server.server_name.as_deref(), Some(NAME));
    assert!(!server.resumed);
}

#[test]
fn records_flow_both_ways_with_rustls() {
    for suite in [
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ] {
        let mut client = client(vec![kx_group::X25519]);
        let options = ServerOptions {
            suites: Some(vec![suite.into()]),
            ..PKI.ecdsa.server()
        };
        let server = shake(&options, &mut client);
        let mut sealer = Sealer::new(server.tx, &PROVIDER).unwrap();
        for line in ["one", "two", "three"] {
            let mut record = [0; 64];
            let len = sealer.seal(23, line.as_bytes(), &mut record).unwrap();
            read(&mut client, &record[..len]);
            let mut plaintext = vec![0; line.len()];
            client.reader().read_exact(&mut plaintext).unwrap();
            assert_eq!(plaintext, line.as_bytes(), "{suite}");
            client.writer().write_all(line.as_bytes()).unwrap();
        }
        let lines = [
            (23, b"one".to_vec()),
            (23, b"two".to_vec()),
            (23, b"three".to_vec()),
        ];
        assert_eq!(open(&server.rx, &written(&mut client)), lines, "{suite}");
    }
}
