//! Handshakes that fail: the message, and the alert for the peer.

use ktls_net::handshake::{
    ClientConfig, ClientOptions, Handshake, HandshakeError, HandshakeErrorKind, HandshakeProgress,
    MinVersion, ServerConfig, ServerOptions, TrustedRoots,
};

use crate::pair::{configs, deliver, open, seal, shake, start, take};
use crate::pki::{NAME, PKI};

const ECDSA12: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";

/// Returns the messages of both sides: of the one that refuses, and of its peer after the alert.
fn both_fail(server: &ServerOptions<'_>, client: &ClientOptions<'_>) -> (String, String) {
    let (server, client) = configs(server, client);
    let (mut server, mut client) = start(&server, &client);
    let first = failed(shake(&mut server, &mut client, usize::MAX).unwrap_err());
    let (mut refusing, mut peer) = if server.receive(b"").is_err() {
        (server, client)
    } else {
        (client, server)
    };
    assert_ne!(refusing.outgoing(), b"", "an alert is owed: {first}");
    let second = failed(deliver(&mut refusing, &mut peer, usize::MAX).unwrap_err());
    (first, second)
}

fn failed(error: HandshakeError) -> String {
    assert_eq!(error.kind(), HandshakeErrorKind::Failed, "{error}");
    error.to_string()
}

#[test]
fn a_certificate_that_proves_nothing_is_refused_by_name() {
    let stranger = ClientOptions::new(TrustedRoots::Pem(PKI.stranger.cert.as_bytes()));
    for suite in ["TLS_AES_128_GCM_SHA256", ECDSA12] {
        for (server, client, why, alert) in [
            (
                PKI.ecdsa.server(),
                stranger.clone(),
                "is issued by none of our roots: add its issuer to them".to_owned(),
                "unknown_ca",
            ),
            (
                PKI.authority.server(),
                PKI.client(),
                "is a CA certificate (CA:TRUE): a peer needs one that the CA has issued, or a \
                 self-signed one made with \
                 `openssl req -x509 -addext basicConstraints=critical,CA:FALSE`"
                    .to_owned(),
                "certificate_unknown",
            ),
        ] {
            let client = ClientOptions {
                suites: Some(vec![suite.into()]),
                ..client
            };
            let (ours, theirs) = both_fail(&server, &client);
            assert_eq!(ours, format!("the certificate of \"a.test\" {why}"));
            let hint = "it does not accept our certificate";
            assert_eq!(theirs, format!("the peer sent the alert {alert}: {hint}"));
        }
    }
}

#[test]
fn an_expired_certificate_is_refused_with_its_age() {
    let (ours, theirs) = both_fail(&PKI.expired.server(), &PKI.client());
    let days = ours
        .strip_prefix("the certificate of \"a.test\" expired ")
        .unwrap();
    let days: u32 = days.strip_suffix(" days ago").unwrap().parse().unwrap();
    assert!(days > 25 * 365, "{ours}");
    assert!(theirs.contains("certificate_expired"), "{theirs}");
}

#[test]
fn a_certificate_for_another_name_is_refused_with_both_names() {
    let (server, client) = configs(&PKI.ecdsa.server(), &PKI.client());
    let mut server = Handshake::server(&server).unwrap();
    let mut client = Handshake::client(&client, "b.test").unwrap();
    let error = shake(&mut server, &mut client, 1).unwrap_err();
    let text = "the certificate of \"b.test\" is not valid for that name, only for [\"a.test\"";
    assert!(error.to_string().starts_with(text), "{error}");
}

#[test]
fn a_client_without_certificate_is_refused_where_one_is_required() {
    let mut server = PKI.ecdsa.server();
    server.client_roots = Some(PKI.authority.cert.as_bytes());
    server.require_client_cert = true;
    let mut client = PKI.client();
    client.suites = Some(vec![ECDSA12.into()]);
    let (ours, theirs) = both_fail(&server, &client);
    assert_eq!(ours, "the peer sent no certificate, and one is required");
    assert!(theirs.starts_with("the peer sent the alert "), "{theirs}");
}

#[test]
fn a_tls13_client_gets_the_alert_sealed_after_its_handshake() {
    let mut server = PKI.ecdsa.server();
    server.client_roots = Some(PKI.authority.cert.as_bytes());
    server.require_client_cert = true;
    let (server, client) = configs(&server, &PKI.client());
    let (mut server, mut client) = start(&server, &client);
    shake(&mut server, &mut client, usize::MAX).unwrap_err();
    let client = client.finish().unwrap();
    let alert = open(&client.rx, &take(&mut server));
    assert_eq!(alert, [(21, vec![2, 116])], "certificate_required");
}

#[test]
fn both_sides_fail_with_a_message_if_they_have_nothing_in_common() {
    let only = |suite: &str| Some(vec![suite.to_owned()]);
    let aes = "TLS_AES_128_GCM_SHA256";
    let chacha = "TLS_CHACHA20_POLY1305_SHA256";
    for (ours, theirs, min_version, text, alert) in [
        (
            only(aes),
            only(chacha),
            MinVersion::Tls13,
            "no suite in common with the peer: we allow TLS_AES_128_GCM_SHA256",
            "handshake_failure: most likely no suite in common",
        ),
        (
            None,
            only(ECDSA12),
            MinVersion::Tls13,
            "no version in common with the peer: we allow TLSv1.3 alone",
            "protocol_version: no version in common",
        ),
        (
            only(ECDSA12),
            only(aes),
            MinVersion::Tls12,
            "no version in common with the peer: we allow TLSv1.2 and TLSv1.3",
            "protocol_version: no version in common",
        ),
    ] {
        let server = ServerOptions {
            suites: ours,
            min_version,
            ..PKI.ecdsa.server()
        };
        let client = ClientOptions {
            suites: theirs,
            ..PKI.client()
        };
        let (first, second) = both_fail(&server, &client);
        assert_eq!(first, text);
        assert_eq!(second, format!("the peer sent the alert {alert}"));
    }
}

#[test]
fn alpn_without_a_common_protocol_is_refused() {
    let mut server = PKI.ecdsa.server();
    server.alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut client = PKI.client();
    client.alpn = vec![b"smtp".to_vec()];
    let (first, second) = both_fail(&server, &client);
    assert_eq!(
        first,
        "the peer offers none of our ALPN protocols: h2, http/1.1"
    );
    let text = "the peer sent the alert no_application_protocol: no ALPN protocol in common";
    assert_eq!(second, text);
}

fn server() -> Handshake {
    Handshake::server(&ServerConfig::new(&PKI.ecdsa.server()).unwrap()).unwrap()
}

fn client() -> Handshake {
    Handshake::client(&ClientConfig::new(&PKI.client()).unwrap(), NAME).unwrap()
}

#[test]
fn peers_that_speak_no_tls_are_recognized_at_their_fifth_byte() {
    let http = "the peer speaks plain HTTP, not TLS";
    for (mut handshake, bytes, text) in [
        (
            server(),
            &b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"[..],
            http,
        ),
        (server(), b"POST /", http),
        (server(), b"PRI * HTTP/2.0", http),
        (client(), b"HTTP/1.1 400 Bad Request\r\n", http),
        (
            server(),
            b"SSH-2.0-x",
            "the peer does not speak TLS: it begins with \"SSH-2\"",
        ),
        (
            client(),
            b"220 mail",
            "the peer does not speak TLS: it begins with \"220 m\"",
        ),
        (
            server(),
            &[0; 5],
            r#"the peer does not speak TLS: it begins with "\x00\x00\x00\x00\x00""#,
        ),
        (
            server(),
            &[0xff; 99],
            r#"the peer does not speak TLS: it begins with "\xff\xff\xff\xff\xff""#,
        ),
    ] {
        take(&mut handshake);
        for byte in &bytes[..4] {
            assert_eq!(handshake.receive(&[*byte]), Ok(HandshakeProgress::Running));
        }
        assert_eq!(handshake.outgoing(), b"");
        let error = handshake.receive(&bytes[4..]).unwrap_err();
        assert_eq!(failed(error.clone()), text);
        let alert = [21, 3, 3, 0, 2, 2, 10];
        assert_eq!(handshake.outgoing(), alert, "unexpected_message");

        // It stays failed, and sends no second alert.
        assert_eq!(handshake.receive(bytes), Err(error.clone()));
        assert_eq!(handshake.outgoing(), alert);
        assert_eq!(handshake.finish().unwrap_err(), error);
    }
}

#[test]
fn tls_records_out_of_place_are_refused() {
    let finished = b"\x16\x03\x03\x00\x04\x14\x00\x00\x00";
    for (bytes, text, alert) in [
        (
            &b"\x17\x03\x03\x00\x05hello"[..],
            "the peer sent an unexpected message: application data",
            10,
        ),
        (
            finished,
            "the peer sent an unexpected message: finished",
            10,
        ),
        (
            b"\x16\x03\x03\x00\x02\x01\x00\x17\x03\x03\x00\x01\x00",
            "the peer broke the protocol: message interleaved with handshake message",
            10,
        ),
        (
            b"\x16\x03\x03\x00\x00",
            "the peer sent a malformed message: invalid empty payload",
            50,
        ),
        (
            b"\x16\x03\x03\x48\x01",
            "the peer sent a record longer than the protocol allows",
            22,
        ),
        (
            b"\x16\x03\x03\x00\x04\x01\x00\x00\x00",
            "the peer sent a malformed message",
            50,
        ),
        (
            b"\x15\x03\x03\x00\x02\x02\x28",
            "the peer sent the alert handshake_failure",
            0,
        ),
    ] {
        let mut server = server();
        let error = failed(server.receive(bytes).unwrap_err());
        assert!(error.starts_with(text), "{error}");
        let owed: &[u8] = if alert == 0 {
            &[]
        } else {
            &[21, 3, 3, 0, 2, 2, alert]
        };
        assert_eq!(server.outgoing(), owed, "{text}");
    }
}

#[test]
fn records_over_the_limit_are_refused_by_their_header() {
    let (server, client) = configs(&PKI.ecdsa.server(), &PKI.client());
    let (mut server, mut client) = start(&server, &client);
    deliver(&mut client, &mut server, usize::MAX).unwrap();
    take(&mut server);
    let error = server.receive(&[23, 3, 3, 0x48, 0x01]).unwrap_err();
    assert_eq!(
        failed(error),
        "the peer sent a record longer than the protocol allows"
    );
    assert_eq!(server.outgoing()[0], 23, "the alert is sealed by now");
}

#[test]
fn an_endless_handshake_is_cut_off() {
    // One ClientHello of 65535 bytes, one byte in each record.
    let mut server = server();
    let mut sent = 0;
    let message = [1, 0, 0xff, 0xff]
        .into_iter()
        .chain(std::iter::repeat_n(0, 0xffff));
    let error = message
        .map(|byte| [22, 3, 3, 0, 1, byte])
        .find_map(|record| {
            sent += record.len();
            server.receive(&record).err()
        });
    let text = "the peer's handshake is longer than 262144 bytes";
    assert_eq!(failed(error.unwrap()), text);
    assert_eq!(
        server.outgoing(),
        [21, 3, 3, 0, 2, 2, 47],
        "illegal_parameter"
    );
    assert!(sent <= (1 << 18) + 6, "{sent} bytes were taken");
}

#[test]
fn every_client_hello_that_is_refused_is_answered_with_an_alert() {
    let (server, client) = configs(&PKI.ecdsa.server(), &PKI.client());
    let hello = take(&mut start(&server, &client).1);
    let mut refused = 0;
    for at in 0..hello.len() {
        for bit in [0x01, 0x80] {
            let mut hello = hello.clone();
            hello[at] ^= bit;
            let mut server = Handshake::server(&server).unwrap();
            if let Err(error) = server.receive(&hello) {
                assert_ne!(server.outgoing(), b"", "byte {at}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 50, "only {refused} were refused");
}

#[test]
fn a_changed_byte_anywhere_in_the_servers_flight_is_noticed() {
    let mut options = PKI.ecdsa.server();
    options.tickets = 0;
    let (server, client) = configs(&options, &PKI.client());
    let (mut at_server, mut at_client) = start(&server, &client);
    deliver(&mut at_client, &mut at_server, usize::MAX).unwrap();
    let flight = take(&mut at_server);
    let sealed = flight
        .windows(3)
        .position(|bytes| bytes == [23, 3, 3])
        .unwrap();
    for at in (sealed + 5..flight.len()).step_by(97) {
        let (_, mut client) = start(&server, &client);
        let mut at_server = Handshake::server(&server).unwrap();
        deliver(&mut client, &mut at_server, usize::MAX).unwrap();
        let mut flight = take(&mut at_server);
        let at = at.min(flight.len() - 1);
        flight[at] ^= 1;
        let outcome = client.receive(&flight);
        assert!(
            outcome != Ok(HandshakeProgress::Complete),
            "byte {at} of {}",
            flight.len()
        );
    }
}

#[test]
fn data_sealed_with_a_wrong_key_is_no_finished() {
    let (server, client) = configs(&PKI.ecdsa.server(), &PKI.client());
    let (mut at_server, mut at_client) = start(&server, &client);
    deliver(&mut at_client, &mut at_server, usize::MAX).unwrap();
    deliver(&mut at_server, &mut at_client, usize::MAX).unwrap();
    take(&mut at_client);
    let tx = at_client.finish().unwrap().tx;
    let error = at_server
        .receive(&seal(&tx, 22, b"\x14\0\0\0"))
        .unwrap_err();
    assert_eq!(
        failed(error),
        "a record of the peer's handshake does not authenticate"
    );
    assert_ne!(at_server.outgoing(), b"");
}
