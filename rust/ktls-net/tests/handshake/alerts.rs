//! The alert at each end of a handshake, opened as the peer would.

use std::io;
use std::sync::{Arc, Mutex};

use ktls_aead::PROVIDER;
use ktls_core::{CryptoInfo, Opener, Sealer, TrafficSecret};
use ktls_net::handshake::{ClientConfig, Handshake, HandshakeProgress, ServerConfig};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConnection, KeyLog, RootCertStore, ServerConnection};

use crate::pair::take;
use crate::pki::{NAME, PKI};

const DECODE_ERROR: u8 = 50;
const UNEXPECTED_MESSAGE: u8 = 10;
const RECORD_OVERFLOW: u8 = 22;
const BAD_RECORD_MAC: u8 = 20;
const ILLEGAL_PARAMETER: u8 = 47;
const MISSING_EXTENSION: u8 = 109;
const PROTOCOL_VERSION: u8 = 70;
const HANDSHAKE_FAILURE: u8 = 40;

/// The secrets of a rustls peer.
#[derive(Debug, Default)]
struct Secrets(Mutex<Vec<(String, Vec<u8>)>>);

impl KeyLog for Secrets {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        self.0.lock().unwrap().push((label.into(), secret.to_vec()));
    }
}

impl Secrets {
    fn key(&self, label: &str) -> CryptoInfo {
        let secrets = self.0.lock().unwrap();
        let (_, secret) = secrets.iter().find(|(name, _)| name == label).unwrap();
        let secret = TrafficSecret::new(0x1302, secret, 0).unwrap();
        secret.crypto_info(&PROVIDER, 0).unwrap()
    }
}

/// Our side in the middle of a handshake, with the keys to seal for it and to open its records.
struct Halfway {
    ours: Handshake,
    sealer: Sealer,
    answers: CryptoInfo,
}

fn server_that_waits_for_finished() -> Halfway {
    let root = CertificateDer::from_pem_slice(PKI.authority.cert.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let secrets = Arc::new(Secrets::default());
    config.key_log = secrets.clone();
    let name = ServerName::try_from(NAME).unwrap();
    let mut peer = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut ours = Handshake::server(&ServerConfig::new(&PKI.ecdsa.server()).unwrap()).unwrap();
    ours.receive(&all(|out| peer.write_tls(out))).unwrap();
    let flight = take(&mut ours);
    peer.read_tls(&mut &flight[..]).unwrap();
    peer.process_new_packets().unwrap();
    Halfway {
        ours,
        sealer: Sealer::new(secrets.key("CLIENT_HANDSHAKE_TRAFFIC_SECRET"), &PROVIDER).unwrap(),
        answers: secrets.key("SERVER_TRAFFIC_SECRET_0"),
    }
}

fn client_that_has_the_server_hello() -> Halfway {
    let chain = CertificateDer::pem_slice_iter(PKI.ecdsa.cert.as_bytes());
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(PKI.ecdsa.key.as_bytes()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let secrets = Arc::new(Secrets::default());
    config.key_log = secrets.clone();
    let mut peer = ServerConnection::new(Arc::new(config)).unwrap();
    let config = ClientConfig::new(&PKI.client()).unwrap();
    let mut ours = Handshake::client(&config, NAME).unwrap();
    let hello = take(&mut ours);
    peer.read_tls(&mut &hello[..]).unwrap();
    peer.process_new_packets().unwrap();
    let flight = all(|out| peer.write_tls(out));
    let in_clear = 5 + usize::from(u16::from_be_bytes([flight[3], flight[4]]));
    ours.receive(&flight[..in_clear]).unwrap();
    take(&mut ours);
    Halfway {
        ours,
        sealer: Sealer::new(secrets.key("SERVER_HANDSHAKE_TRAFFIC_SECRET"), &PROVIDER).unwrap(),
        answers: secrets.key("CLIENT_HANDSHAKE_TRAFFIC_SECRET"),
    }
}

fn all(mut write: impl FnMut(&mut Vec<u8>) -> io::Result<usize>) -> Vec<u8> {
    let mut out = Vec::new();
    while write(&mut out).unwrap() > 0 {}
    out
}

impl Halfway {
    fn sealed(&mut self, record_type: u8, plaintext: &[u8]) -> Vec<u8> {
        let mut record = vec![0; plaintext.len() + self.sealer.overhead()];
        self.sealer
            .seal(record_type, plaintext, &mut record)
            .unwrap();
        record
    }

    /// Passes `wire` to our side in pieces of `step` bytes. Returns the alert of its answer.
    fn answer(mut self, wire: &[u8], step: usize) -> u8 {
        let failed = wire
            .chunks(step)
            .find_map(|piece| self.ours.receive(piece).err());
        let error = failed.expect("it has to refuse");
        let answer = take(&mut self.ours);
        assert_ne!(answer, b"", "an alert is owed: {error}");
        let mut opener = Opener::new(self.answers, &PROVIDER).unwrap();
        let mut alert = vec![0; answer.len()];
        let inner = opener.open(&answer, &mut alert).expect("one sealed record");
        assert_eq!(
            (inner.record_type, inner.len, alert[0]),
            (21, 2, 2),
            "{error}"
        );
        alert[1]
    }
}

/// A content type and a plaintext.
type Record<'a> = (u8, &'a [u8]);

fn finished(len: u8) -> Vec<u8> {
    [&[20, 0, 0, len][..], &vec![7; len.into()]].concat()
}

#[test]
fn a_sealed_message_that_is_refused_gets_the_alert_of_the_rfc() {
    let cases: &[(&[Record<'_>], u8)] = &[
        (&[(21, b"")], UNEXPECTED_MESSAGE),
        (&[(22, &finished(47))], DECODE_ERROR),
        (&[(22, &finished(0))], DECODE_ERROR),
        (&[(22, &finished(49))], DECODE_ERROR),
        (&[(22, &finished(32))], DECODE_ERROR),
        (&[(23, b"data")], UNEXPECTED_MESSAGE),
        (&[(22, b"\x01\0\0\x01\0")], DECODE_ERROR),
        (&[(22, b"\x14\0"), (21, b"\x01\0")], UNEXPECTED_MESSAGE),
        (&[(21, b"\x01")], DECODE_ERROR),
        (&[(99, b"?")], UNEXPECTED_MESSAGE),
        (&[(20, b"\x01")], UNEXPECTED_MESSAGE),
        (&[(0, b"\0\0\0")], UNEXPECTED_MESSAGE),
    ];
    for (records, alert) in cases {
        for step in [1, usize::MAX] {
            for mut halfway in [
                server_that_waits_for_finished(),
                client_that_has_the_server_hello(),
            ] {
                let wire: Vec<u8> = records
                    .iter()
                    .flat_map(|(record_type, text)| halfway.sealed(*record_type, text))
                    .collect();
                assert_eq!(halfway.answer(&wire, step), *alert, "{records:?}");
            }
        }
    }
}

/// A ClientHello with these extensions, as one record.
fn client_hello(legacy_version: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let len = u8::try_from(extensions.len()).unwrap();
    let mut body = legacy_version.to_vec();
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0x13, 1, 0xc0, 0x2b, 1, 0, 0, len]);
    body.extend(extensions);
    let len = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, len + 4, 1, 0, 0, len], &body[..]].concat()
}

#[test]
fn a_client_that_is_too_old_gets_that_alert_whatever_else_it_lacks() {
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    for old in [[3, 0], [3, 1], [3, 2], [2, 0]] {
        for extensions in [
            &[][..],
            &groups,
            &signatures,
            &[groups, signatures].concat(),
        ] {
            let whole = client_hello(old, extensions);
            // As such clients write it when they have no extensions: without the length of the
            // list.
            let mut bare = whole[..whole.len() - extensions.len() - 2].to_vec();
            let len = bare.len() as u8;
            (bare[4], bare[8]) = (len - 5, len - 9);
            for hello in [whole, bare] {
                let (said, why) = refusal_of(&hello);
                assert_eq!(
                    said,
                    [21, 3, 3, 0, 2, 2, PROTOCOL_VERSION],
                    "{old:?}: {why}"
                );
            }
        }
    }
    // A TLS 1.2 client without signature_algorithms accepts SHA-1 signatures only (RFC 5246
    // §7.4.1.4.1).
    let (said, _) = refusal_of(&client_hello([3, 3], &groups));
    assert_eq!(said, [21, 3, 3, 0, 2, 2, HANDSHAKE_FAILURE]);
}

/// Returns the last bytes that our server sends to `hello`, and the message of its error.
fn refusal_of(hello: &[u8]) -> (Vec<u8>, String) {
    let mut ours = Handshake::server(&ServerConfig::new(&PKI.ecdsa.server()).unwrap()).unwrap();
    let error = ours.receive(hello).unwrap_err();
    (take(&mut ours), error.to_string())
}

#[test]
fn a_client_hello_without_a_needed_extension_gets_the_alert_for_that() {
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let tls13 = [0, 43, 0, 3, 2, 3, 4];
    let no_share = [&groups[..], &signatures, &tls13].concat();
    let (said, _) = refusal_of(&client_hello([3, 3], &no_share));
    assert_eq!(said, [21, 3, 3, 0, 2, 2, MISSING_EXTENSION]);
    for lacking in [
        &[&groups[..], &tls13].concat(),
        &[&signatures[..], &tls13].concat(),
        &tls13[..],
    ] {
        let (said, _) = refusal_of(&client_hello([3, 3], lacking));
        assert_eq!(said, [21, 3, 3, 0, 2, 2, MISSING_EXTENSION], "{lacking:?}");
    }
    for old in [[3, 0], [3, 1], [3, 2]] {
        let (said, why) = refusal_of(&client_hello(old, &groups));
        assert_eq!(said, [21, 3, 3, 0, 2, 2, PROTOCOL_VERSION]);
        assert!(
            why.contains("as before TLS 1.2: we allow TLSv1.2 and TLSv1.3"),
            "{why}"
        );
    }
}

#[test]
fn a_sealed_record_that_is_too_long_is_a_record_overflow_by_its_header() {
    for header in [
        [23, 3, 3, 0x41, 0x01],
        [23, 3, 3, 0xff, 0xff],
        [22, 3, 3, 0x40, 0x01],
    ] {
        for halfway in [
            server_that_waits_for_finished(),
            client_that_has_the_server_hello(),
        ] {
            assert_eq!(halfway.answer(&header, 1), RECORD_OVERFLOW, "{header:?}");
        }
    }
}

#[test]
fn a_record_that_does_not_authenticate_is_a_bad_record_mac() {
    for mut halfway in [
        server_that_waits_for_finished(),
        client_that_has_the_server_hello(),
    ] {
        let mut record = halfway.sealed(21, b"");
        *record.last_mut().unwrap() ^= 1;
        assert_eq!(halfway.answer(&record, usize::MAX), BAD_RECORD_MAC);
    }
}

#[test]
fn an_endless_handshake_under_keys_is_ended_by_an_alert() {
    for mut halfway in [
        server_that_waits_for_finished(),
        client_that_has_the_server_hello(),
    ] {
        let mut wire = halfway.sealed(22, &[11, 0, 0xff, 0xff]);
        for _ in 0..17 {
            wire.extend(halfway.sealed(22, &[0; 16384]));
        }
        let alert = halfway.answer(&wire, usize::MAX);
        assert!(
            [ILLEGAL_PARAMETER, DECODE_ERROR, UNEXPECTED_MESSAGE].contains(&alert),
            "{alert}"
        );
    }
}

#[test]
fn a_hello_in_a_record_over_the_limit_is_a_record_overflow() {
    let server = ServerConfig::new(&PKI.ecdsa.server()).unwrap();
    let client = ClientConfig::new(&PKI.client()).unwrap();
    for [high, low] in [
        [0x40, 0x01],
        [0x42, 0x00],
        [0x48, 0x00],
        [0x48, 0x01],
        [0xff, 0xff],
    ] {
        for mut ours in [
            Handshake::server(&server).unwrap(),
            Handshake::client(&client, NAME).unwrap(),
        ] {
            take(&mut ours);
            let header = [22, 3, 1, high, low];
            let error = ours.receive(&header).unwrap_err();
            let text = "the peer sent a record longer than the protocol allows";
            assert_eq!(error.to_string(), text);
            assert_eq!(ours.outgoing(), [21, 3, 3, 0, 2, 2, RECORD_OVERFLOW]);
        }
    }
}

#[test]
fn a_record_of_exactly_the_limit_is_accepted() {
    let config = ServerConfig::new(&PKI.ecdsa.server()).unwrap();
    let mut server = Handshake::server(&config).unwrap();
    assert_eq!(
        server.receive(&[22, 3, 1, 0x40, 0]),
        Ok(HandshakeProgress::Running)
    );
    let mut waiting = server_that_waits_for_finished();
    assert_eq!(
        waiting.ours.receive(&[23, 3, 3, 0x41, 0]),
        Ok(HandshakeProgress::Running)
    );
}
