//! Keys after the handshake: key updates and tickets.

use ktls_core::{Direction, Error};

use crate::pair::{configs, established};
use crate::pki::PKI;

#[test]
fn the_next_keys_of_both_sides_agree() {
    let (server, client) = configs(&PKI.ecdsa.server(), &PKI.client());
    let (mut server, mut client) = established(&server, &client, usize::MAX);
    for (tx, rx) in [(0, 1), (1, 0), (0, 1)] {
        let sides = [&mut server, &mut client];
        let sent = sides[tx].keys.next(Direction::Tx).unwrap();
        let received = sides[rx].keys.next(Direction::Rx).unwrap();
        assert!(sent.same_as(&received));
        assert!(!sent.same_as(&sides[tx].tx));
        assert_eq!((sent.version(), sent.rec_seq), (0x0304, 0));
        sides[tx].tx = sent;
    }
}

#[test]
fn tls12_has_no_next_key_and_no_tickets_later() {
    let mut options = PKI.client();
    options.suites = Some(vec!["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".into()]);
    let (server, client) = configs(&PKI.ecdsa.server(), &options);
    let (mut server, mut client) = established(&server, &client, usize::MAX);
    for side in [&mut server, &mut client] {
        for direction in [Direction::Tx, Direction::Rx] {
            assert_eq!(side.keys.next(direction).unwrap_err(), Error::NoRekeyIn12);
        }
        let refused = Err(Error::UnexpectedMessage { message_type: 4 });
        assert_eq!(side.keys.ticket(b"anything"), refused);
    }
}

#[test]
fn a_ticket_must_parse_and_come_to_a_client() {
    let (server, client) = configs(&PKI.ecdsa.server(), &PKI.client());
    let (mut server, mut client) = established(&server, &client, usize::MAX);
    let refused = Err(Error::UnexpectedMessage { message_type: 4 });
    assert_eq!(server.keys.ticket(b"anything"), refused);
    for body in [&b""[..], b"anything", &[0; 14]] {
        assert_eq!(client.keys.ticket(body), Err(Error::BadTicket), "{body:?}");
    }
    client
        .keys
        .next(Direction::Rx)
        .expect("a bad ticket spoils no key");
}
