//! Handshakes that succeed.

use ktls_net::handshake::{HandshakeProgress, MinVersion, ServerOptions};

use crate::pair::{configs, established, give_tickets, open, seal, shake, start, take};
use crate::pki::{NAME, PKI};

const SUITES: [(u16, u16, &str); 9] = [
    (0x0304, 0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x0304, 0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x0304, 0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0x0303, 0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    (0x0303, 0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    (
        0x0303,
        0xcca9,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
    (0x0303, 0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0x0303, 0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    (
        0x0303,
        0xcca8,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
];
const TLS13: &str = SUITES[0].2;
const TLS12: &str = SUITES[3].2;

fn server_of(suite: &str) -> ServerOptions<'static> {
    let identity = if suite.contains("_RSA_") {
        &PKI.rsa
    } else {
        &PKI.ecdsa
    };
    ServerOptions {
        suites: Some(vec![suite.into()]),
        ..identity.server()
    }
}

#[test]
fn every_suite_is_agreed_on_however_the_bytes_are_cut() {
    for (version, suite, name) in SUITES {
        for step in [1, 3, 1_000, usize::MAX] {
            let (server, client) = configs(&server_of(name), &PKI.client());
            let (server, client) = established(&server, &client, step);
            for side in [&server, &client] {
                let agreed = (side.version, side.suite, side.suite_name.as_str());
                assert_eq!(agreed, (version, suite, name), "{step} bytes at a time");
                assert!(!side.resumed);
            }
            assert_eq!(
                client.received.is_empty(),
                version == 0x0303,
                "{name}: tickets"
            );
        }
    }
}

#[test]
fn records_open_with_the_keys_of_the_other_side() {
    for (_, _, name) in SUITES {
        let (server, client) = configs(&server_of(name), &PKI.client());
        let (server, mut client) = established(&server, &client, usize::MAX);
        let records = [server.tx.rec_seq, server.rx.rec_seq, client.tx.rec_seq];
        let expected = if server.version == 0x0304 {
            [1, 0, 0]
        } else {
            [1, 1, 1]
        };
        assert_eq!(
            records, expected,
            "{name}: records of the handshake under these keys"
        );

        let record = seal(&client.tx, 23, b"question");
        assert_eq!(
            open(&server.rx, &record),
            [(23, b"question".to_vec())],
            "{name}"
        );
        client.received.extend(seal(&server.tx, 23, b"answer"));
        let last = open(&client.rx, &client.received).pop().unwrap();
        assert_eq!(last, (23, b"answer".to_vec()), "{name}");
    }
}

#[test]
fn data_right_behind_finished_stays_sealed() {
    for (_, _, name) in SUITES {
        for step in [1, usize::MAX] {
            let (server, client) = configs(&server_of(name), &PKI.client());
            let (mut server, mut client) = start(&server, &client);
            server.receive(&take(&mut client)).unwrap();
            let progress = client.receive(&take(&mut server)).unwrap();
            // In TLS 1.2 the server sends the last message.
            if progress == HandshakeProgress::Running {
                server.receive(&take(&mut client)).unwrap();
                (server, client) = (client, server);
            }
            // The side in `client` sends the last message of the handshake, and data right behind
            // it.
            let mut flight = take(&mut client);
            let client = client.finish().unwrap();
            let data = [seal(&client.tx, 23, b"early bird"), vec![23, 3]].concat();
            flight.extend(&data);
            for piece in flight.chunks(step) {
                server.receive(piece).unwrap();
            }
            assert!(server.is_complete(), "{name}");
            take(&mut server);
            let server = server.finish().unwrap();
            assert_eq!(server.received, data, "{name}");
            let opened = open(&server.rx, &data[..data.len() - 2]);
            assert_eq!(opened, [(23, b"early bird".to_vec())], "{name}");
        }
    }
}

#[test]
fn a_client_hello_is_understood_wherever_it_is_cut() {
    let (server, client) = configs(&server_of(TLS13), &PKI.client());
    let hello = take(&mut start(&server, &client).1);
    for cut in 0..hello.len() {
        let mut server = start(&server, &client).0;
        assert_eq!(
            server.receive(&hello[..cut]),
            Ok(HandshakeProgress::Running),
            "cut at {cut}"
        );
        assert_eq!(server.outgoing(), b"", "cut at {cut}");
        assert_eq!(
            server.receive(&hello[cut..]),
            Ok(HandshakeProgress::Running),
            "cut at {cut}"
        );
        assert_eq!(server.outgoing()[0], 22, "cut at {cut}");
    }
}

#[test]
fn the_second_handshake_resumes_the_first() {
    for suite in [TLS13, TLS12] {
        let (server, client) = configs(&server_of(suite), &PKI.client());
        let (first, mut at_client) = established(&server, &client, usize::MAX);
        let tickets = give_tickets(&mut at_client);
        assert_eq!(tickets, if suite == TLS13 { 2 } else { 0 });
        assert!(!first.resumed && !at_client.resumed);

        let (server, client) = established(&server, &client, 1);
        assert!(server.resumed && client.resumed, "{suite}");
        assert_eq!(server.server_name.as_deref(), Some(NAME), "{suite}");
        assert_eq!(
            client.peer_certificates, at_client.peer_certificates,
            "{suite}"
        );
        let record = seal(&client.tx, 23, b"again");
        assert_eq!(
            open(&server.rx, &record),
            [(23, b"again".to_vec())],
            "{suite}"
        );
    }
}

#[test]
fn resumption_can_be_switched_off_at_either_side() {
    for suite in [TLS13, TLS12] {
        for (tickets, resumption) in [(0, true), (2, false)] {
            let mut server = server_of(suite);
            server.tickets = tickets;
            let mut client = PKI.client();
            client.resumption = resumption;
            let (server, client) = configs(&server, &client);
            let (_, mut first) = established(&server, &client, usize::MAX);
            let given = give_tickets(&mut first);
            assert_eq!(given, if suite == TLS13 { tickets } else { 0 });
            let (server, client) = established(&server, &client, usize::MAX);
            assert!(
                !server.resumed && !client.resumed,
                "{suite}: {tickets}, {resumption}"
            );
        }
    }
}

#[test]
fn a_client_proves_who_it_is_when_asked() {
    for suite in [TLS13, TLS12] {
        for (required, identity) in [(true, true), (false, true), (false, false)] {
            let mut server = server_of(suite);
            server.client_roots = Some(PKI.authority.cert.as_bytes());
            server.require_client_cert = required;
            let mut client = PKI.client();
            client.identity = PKI.ecdsa.shown().filter(|_| identity);
            let (server, client) = configs(&server, &client);
            let (server, client) = established(&server, &client, usize::MAX);
            assert_eq!(
                server.peer_certificates.len(),
                usize::from(identity),
                "{suite}"
            );
            if identity {
                assert_eq!(
                    server.peer_certificates, client.peer_certificates,
                    "the same one"
                );
            }
        }
    }
}

#[test]
fn alpn_takes_the_first_of_the_server_that_the_client_has() {
    for (ours, theirs, agreed) in [
        (&["h2", "http/1.1"][..], &["http/1.1", "h2"][..], Some("h2")),
        (&["h2", "http/1.1"], &["http/1.1"], Some("http/1.1")),
        (&["h2"], &[], None),
        (&[], &["h2"], None),
    ] {
        let bytes = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut server = PKI.ecdsa.server();
        server.alpn = bytes(ours);
        let mut client = PKI.client();
        client.alpn = bytes(theirs);
        let (server, client) = configs(&server, &client);
        let (server, client) = established(&server, &client, usize::MAX);
        let agreed = agreed.map(|name| name.as_bytes().to_vec());
        assert_eq!(
            (&server.alpn, &client.alpn),
            (&agreed, &agreed),
            "{ours:?} {theirs:?}"
        );
    }
}

#[test]
fn the_server_learns_the_name_unless_it_is_an_address() {
    let (server, client) = configs(&PKI.ecdsa.server(), &PKI.client());
    let (at_server, at_client) = established(&server, &client, usize::MAX);
    assert_eq!(at_server.server_name.as_deref(), Some(NAME));
    assert_eq!(at_client.server_name.as_deref(), Some(NAME));

    let mut at_server = ktls_net::handshake::Handshake::server(&server).unwrap();
    let mut at_client = ktls_net::handshake::Handshake::client(&client, "127.0.0.1").unwrap();
    shake(&mut at_server, &mut at_client, usize::MAX).unwrap();
    assert_eq!(at_server.finish().unwrap().server_name, None);
}

#[test]
fn tls13_is_preferred_and_can_be_demanded() {
    for min_version in [MinVersion::Tls12, MinVersion::Tls13] {
        let mut client = PKI.client();
        client.min_version = min_version;
        let (server, client) = configs(&PKI.rsa.server(), &client);
        let (server, _) = established(&server, &client, usize::MAX);
        assert_eq!(server.version, 0x0304);
    }
}
