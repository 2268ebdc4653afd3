//! Configurations that are refused, and the messages.

use ktls_net::handshake::{
    ClientConfig, ClientOptions, Handshake, HandshakeErrorKind, HandshakeProgress, MinVersion,
    ServerConfig, ServerOptions, TrustedRoots,
};

use crate::pair::{configs, start};
use crate::pki::PKI;

fn refused(options: &ServerOptions<'_>) -> String {
    let error = ServerConfig::new(options).unwrap_err();
    assert_eq!(error.kind(), HandshakeErrorKind::Config);
    error.to_string()
}

#[test]
fn certificate_and_key_must_be_there_and_belong_together() {
    let (cert, key) = PKI.ecdsa.pair();
    for (cert, key, text) in [
        (b"".as_slice(), key, "cert holds no certificate"),
        (key, key, "cert holds no certificate"),
        (cert, cert, "key holds no private key"),
        (
            cert,
            PKI.rsa.key.as_bytes(),
            "key does not belong to the first certificate of cert",
        ),
        (cert, UNKNOWN_KEY, "key is not usable"),
        (
            NO_X509,
            key,
            "certificate 0 of cert does not parse as X.509",
        ),
    ] {
        let refusal = refused(&ServerOptions::new(cert, key));
        assert!(refusal.starts_with(text), "{refusal}");
    }
}

#[test]
fn suites_must_exist_and_belong_to_an_allowed_version() {
    for (suites, min_version, text) in [
        (
            &["TLS_NULL"][..],
            MinVersion::Tls12,
            "suite \"TLS_NULL\" is not one of TLS_AES_256_GCM",
        ),
        (
            &[],
            MinVersion::Tls12,
            "no suite is allowed: name some of TLS_AES_256_GCM",
        ),
        (
            &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
            MinVersion::Tls13,
            "none of the suites TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 belongs to TLSv1.3 alone",
        ),
    ] {
        let mut options = PKI.ecdsa.server();
        options.suites = Some(suites.iter().map(|&name| name.into()).collect());
        options.min_version = min_version;
        let refusal = refused(&options);
        assert!(refusal.starts_with(text), "{refusal}");
    }
}

#[test]
fn client_certificates_need_roots() {
    let mut options = PKI.ecdsa.server();
    options.require_client_cert = true;
    let text = "require_client_cert needs client_roots to check certificates against";
    assert_eq!(refused(&options), text);
    options.client_roots = Some(b"none");
    assert!(refused(&options).starts_with("client_roots holds no certificate"));
}

#[test]
fn an_alpn_protocol_has_a_length_byte() {
    for len in [0, 256] {
        let mut options = PKI.ecdsa.server();
        options.alpn = vec![b"h2".to_vec(), vec![b'x'; len]];
        let text = format!("an ALPN protocol has 1 to 255 bytes, not {len}");
        assert_eq!(refused(&options), text);
    }
}

#[test]
fn a_server_name_is_a_name_or_an_address() {
    let client = ClientConfig::new(&PKI.client()).unwrap();
    for name in ["", "two words", "https://a.test", "[::1]"] {
        let error = Handshake::client(&client, name).unwrap_err();
        assert_eq!(error.kind(), HandshakeErrorKind::Config);
        let text = format!("server_name {name:?} is neither a DNS name nor an IP address");
        assert_eq!(error.to_string(), text);
    }
    for name in ["localhost", "a.test", "127.0.0.1", "::1"] {
        Handshake::client(&client, name).unwrap();
    }
}

#[test]
fn mozillas_roots_are_compiled_in() {
    ClientConfig::new(&ClientOptions::new(TrustedRoots::WebPki)).unwrap();
}

#[test]
fn a_handshake_is_not_finished_early() {
    let (server, client) = configs(&PKI.ecdsa.server(), &PKI.client());
    let (mut server, mut client) = start(&server, &client);
    server.receive(client.outgoing()).unwrap();
    client.sent(client.outgoing().len());
    let progress = client.receive(server.outgoing()).unwrap();
    assert_eq!(progress, HandshakeProgress::Complete);
    let unsent = client.outgoing().len();
    for (handshake, text) in [
        (server, "the handshake is not complete".to_owned()),
        (
            client,
            format!("{unsent} bytes of the handshake are still to be sent"),
        ),
    ] {
        let error = handshake.finish().unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (HandshakeErrorKind::Config, text)
        );
    }
}

#[test]
fn nothing_secret_is_shown() {
    let (server, client) = configs(&PKI.ecdsa.server(), &PKI.client());
    let shown = format!("{server:?} {client:?}");
    assert_eq!(
        shown,
        "ServerConfig(TLSv1.2 and TLSv1.3) ClientConfig(TLSv1.2 and TLSv1.3)"
    );
    assert_eq!(
        format!("{:?}", start(&server, &client).0),
        "Handshake(Ok(Running))"
    );
}

/// Well-formed PEM without contents.
const UNKNOWN_KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
const NO_X509: &[u8] = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
