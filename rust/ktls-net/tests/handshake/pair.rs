//! A client and a server, and the bytes between them.

use ktls_aead::PROVIDER;
use ktls_core::{CryptoInfo, Opener, Sealer};
use ktls_net::handshake::{
    ClientConfig, ClientOptions, EstablishedConnection, Handshake, HandshakeError, ServerConfig,
    ServerOptions,
};

use crate::pki::NAME;

/// Returns all outgoing bytes, and marks them as sent.
pub(crate) fn take(from: &mut Handshake) -> Vec<u8> {
    let bytes = from.outgoing().to_vec();
    from.sent(bytes.len());
    bytes
}

pub(crate) fn start(server: &ServerConfig, client: &ClientConfig) -> (Handshake, Handshake) {
    (
        Handshake::server(server).unwrap(),
        Handshake::client(client, NAME).unwrap(),
    )
}

/// Passes the outgoing bytes of one side to the other, in pieces of `step` bytes. Returns `true` if
/// there were any.
pub(crate) fn deliver(
    from: &mut Handshake,
    to: &mut Handshake,
    step: usize,
) -> Result<bool, HandshakeError> {
    let bytes = take(from);
    for piece in bytes.chunks(step) {
        to.receive(piece)?;
    }
    Ok(!bytes.is_empty())
}

/// Runs a handshake to its end. Returns the first error of the server or the client.
pub(crate) fn shake(
    server: &mut Handshake,
    client: &mut Handshake,
    step: usize,
) -> Result<(), HandshakeError> {
    for _ in 0..10 {
        let to_server = deliver(client, server, step)?;
        let to_client = deliver(server, client, step)?;
        if !to_server && !to_client {
            return Ok(());
        }
    }
    panic!("the handshake does not end");
}

pub(crate) fn configs(
    server: &ServerOptions<'_>,
    client: &ClientOptions<'_>,
) -> (ServerConfig, ClientConfig) {
    (
        ServerConfig::new(server).unwrap(),
        ClientConfig::new(client).unwrap(),
    )
}

/// Runs a handshake that succeeds. Returns the server and the client.
pub(crate) fn established(
    server: &ServerConfig,
    client: &ClientConfig,
    step: usize,
) -> (EstablishedConnection, EstablishedConnection) {
    let (mut server, mut client) = start(server, client);
    shake(&mut server, &mut client, step).unwrap();
    (server.finish().unwrap(), client.finish().unwrap())
}

pub(crate) fn seal(info: &CryptoInfo, record_type: u8, plaintext: &[u8]) -> Vec<u8> {
    let mut out = vec![0; plaintext.len() + 64];
    let mut sealer = Sealer::new(info.clone(), &PROVIDER).unwrap();
    let len = sealer.seal(record_type, plaintext, &mut out).unwrap();
    out.truncate(len);
    out
}

/// Opens all records of `wire`, which must end with a whole one.
pub(crate) fn open(info: &CryptoInfo, mut wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut opener = Opener::new(info.clone(), &PROVIDER).unwrap();
    let mut records = Vec::new();
    while let &[_, _, _, high, low, ..] = wire {
        let len = 5 + usize::from(u16::from_be_bytes([high, low]));
        let (record, rest) = wire.split_at(len);
        let mut out = vec![0; len];
        let inner = opener.open(record, &mut out).unwrap();
        out.truncate(inner.len);
        records.push((inner.record_type, out));
        wire = rest;
    }
    assert_eq!(wire, b"", "a cut record");
    records
}

/// Passes the tickets of the server to the client. Returns how many.
pub(crate) fn give_tickets(client: &mut EstablishedConnection) -> usize {
    let mut count = 0;
    for (record_type, messages) in open(&client.rx, &client.received) {
        assert_eq!(record_type, 22);
        let mut rest = &messages[..];
        while let &[4, 0, high, low, ref after @ ..] = rest {
            let body;
            (body, rest) = after.split_at(usize::from(u16::from_be_bytes([high, low])));
            client.keys.ticket(body).unwrap();
            count += 1;
        }
        assert_eq!(rest, b"", "more than NewSessionTickets");
    }
    count
}
