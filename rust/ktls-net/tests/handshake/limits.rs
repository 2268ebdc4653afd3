//! Configurations at the limits of the protocol's length fields.

use ktls_net::handshake::{ClientConfig, HandshakeErrorKind, ServerConfig, ServerOptions};

use crate::pair::{configs, established, give_tickets};
use crate::pki::{PKI, idle_authorities};

const ECDSA12: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
const AES13: &str = "TLS_AES_128_GCM_SHA256";

/// Returns a server that asks for a client certificate of one of the authorities in `roots`.
fn asking<'a>(roots: &'a str) -> ServerOptions<'a> {
    ServerOptions {
        client_roots: Some(roots.as_bytes()),
        require_client_cert: true,
        ..PKI.ecdsa.server()
    }
}

#[test]
fn a_client_proves_itself_to_a_server_that_trusts_any_number_of_authorities() {
    for count in [3, 500, 700, 1000] {
        let roots = PKI.authority.cert.clone() + &idle_authorities(count);
        for suite in [AES13, ECDSA12] {
            let mut client = PKI.client();
            client.identity = PKI.ecdsa.shown();
            client.suites = Some(vec![suite.into()]);
            let (server, client) = configs(&asking(&roots), &client);
            let (server, _) = established(&server, &client, usize::MAX);
            assert_eq!(server.peer_certificates.len(), 1, "{count} authorities");
        }
    }
}

#[test]
fn a_long_chain_of_a_client_costs_its_tickets_and_nothing_else() {
    let chain = PKI.ecdsa.cert.clone() + &PKI.authority.cert.repeat(100);
    for suite in [AES13, ECDSA12] {
        let mut client = PKI.client();
        let mut identity = PKI.ecdsa.server().identity;
        identity.cert = chain.as_bytes();
        client.identity = Some(identity);
        client.suites = Some(vec![suite.into()]);
        let (server, client) = configs(&asking(&PKI.authority.cert), &client);
        for again in [false, true] {
            let (server, mut client) = established(&server, &client, usize::MAX);
            assert!(server.peer_certificates.iter().map(Vec::len).sum::<usize>() > 32_768);
            // In TLS 1.2 the server stores the session and sends its id.
            assert_eq!(client.resumed, again && suite == ECDSA12);
            assert_eq!(give_tickets(&mut client), 0, "{suite}");
        }
    }
}

#[test]
fn a_suite_named_again_is_offered_once() {
    let mut options = PKI.client();
    options.suites = Some(vec![AES13.to_owned(); 40_000]);
    let (server, client) = configs(&PKI.ecdsa.server(), &options);
    let (_, client) = established(&server, &client, usize::MAX);
    assert_eq!(client.suite_name, AES13);
}

/// Returns protocols whose list is `len` bytes long, including the length bytes: all but the last
/// have 255 bytes.
fn protocols(len: usize) -> Vec<Vec<u8>> {
    let mut names = vec![vec![b'x'; 255]; len / 256];
    if len % 256 > 1 {
        names.push(vec![b'y'; len % 256 - 1]);
    }
    names
}

#[test]
fn a_client_offers_as_many_protocols_as_fit_and_is_refused_more() {
    let most = 0xffff - 0x1000 - 0x8000;
    let mut options = PKI.client();
    options.alpn = protocols(most);
    let mut server = PKI.ecdsa.server();
    server.alpn = vec![options.alpn.last().unwrap().clone()];
    let (server, client) = configs(&server, &options);
    let (_, client) = established(&server, &client, usize::MAX);
    assert_eq!(client.alpn.as_deref(), server_choice(&options.alpn));

    options.alpn = protocols(most + 1);
    let error = ClientConfig::new(&options).unwrap_err();
    assert_eq!(error.kind(), HandshakeErrorKind::Config);
    let count = options.alpn.len();
    let text = format!(
        "{count} ALPN protocols of {} bytes, lengths included, do not fit a ClientHello: at most \
         {most} bytes do",
        most + 1
    );
    assert_eq!(error.to_string(), text);
}

fn server_choice(names: &[Vec<u8>]) -> Option<&[u8]> {
    names.last().map(Vec::as_slice)
}

#[test]
fn a_server_that_knows_any_number_of_protocols_names_a_few_when_none_fits() {
    let mut server = PKI.ecdsa.server();
    server.alpn = protocols(1 << 17);
    let mut client = PKI.client();
    client.alpn = vec![b"h2".to_vec()];
    let (server, client) = configs(&server, &client);
    let (mut server, mut client) = crate::pair::start(&server, &client);
    let error = crate::pair::shake(&mut server, &mut client, usize::MAX).unwrap_err();
    let text = error.to_string();
    assert!(text.ends_with("and 504 more"), "{text}");
    assert!(text.len() < 1000, "{} bytes", text.len());
}

#[test]
fn more_tickets_than_the_limit_are_refused() {
    let mut options = PKI.ecdsa.server();
    for tickets in [1, 40, 255] {
        options.tickets = tickets;
        let (server, client) = configs(&options, &PKI.client());
        established(&server, &client, usize::MAX);
    }
    for tickets in [256, 1 << 20, usize::MAX] {
        options.tickets = tickets;
        let error = ServerConfig::new(&options).unwrap_err();
        let text = format!("{tickets} tickets are too many for one handshake: at most 255");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_chain_longer_than_a_message_is_refused_at_either_side() {
    let filler = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        "A".repeat(4 << 20)
    );
    let chain = PKI.ecdsa.cert.clone() + &filler.repeat(6);
    let mut identity = PKI.ecdsa.server().identity;
    identity.cert = chain.as_bytes();
    let mut client = PKI.client();
    client.identity = Some(identity);
    let mut server = PKI.ecdsa.server();
    server.identity = identity;
    for error in [
        ClientConfig::new(&client).unwrap_err(),
        ServerConfig::new(&server).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            text.starts_with("the 7 certificates of cert have 18"),
            "{text}"
        );
        assert!(
            text.ends_with("a Certificate message has room for 16777211"),
            "{text}"
        );
    }
}
