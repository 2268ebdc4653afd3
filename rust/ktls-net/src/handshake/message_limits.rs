//! Limits that follow from the length fields of handshake messages.
//!
//! rustls truncates a length that does not fit its field, which makes the message malformed. So
//! everything whose length depends on the configuration is checked before any handshake.

use rustls::DistinguishedName;
use rustls::pki_types::CertificateDer;
use rustls::server::ProducesTickets;

use crate::error::HandshakeError;

/// The longest ticket, in bytes, that is issued or stored: it has to fit in a ClientHello.
pub(super) const MAX_TICKET: usize = 1 << 15;

/// Bytes reserved in a ClientHello for extensions other than protocol names and the ticket: key
/// shares (1.3 KB with a post-quantum one), the server name (at most 253 bytes), a cookie, and
/// fixed lists.
const OTHER_EXTENSIONS: usize = 1 << 12;

/// The most bytes of all protocol names, each with its length prefix (RFC 7301 §3.1).
const MAX_PROTOCOL_LIST: usize = U16_MAX - OTHER_EXTENSIONS - MAX_TICKET;

/// The most bytes of all names of authorities, each with its length prefix, so that the other
/// extensions of a CertificateRequest fit beside them (RFC 8446 §4.3.2).
const MAX_AUTHORITY_LIST: usize = U16_MAX - 1024;

/// The most tickets per handshake: a client that asks for a number of tickets has one byte for it
/// (RFC 9149 §2).
const MAX_TICKETS: usize = 255;

const U16_MAX: usize = 0xffff;
const U24_MAX: usize = 0xff_ffff;

/// Refuses protocol names that are empty or longer than 255 bytes.
pub(super) fn check_protocols(protocols: &[Vec<u8>]) -> Result<(), HandshakeError> {
    if let Some(name) = protocols
        .iter()
        .find(|name| !(1..=255).contains(&name.len()))
    {
        let text = format!("an ALPN protocol has 1 to 255 bytes, not {}", name.len());
        return Err(HandshakeError::config(text));
    }
    Ok(())
}

/// Refuses a list of protocols that is too long for a ClientHello.
pub(super) fn check_offered_protocols(protocols: &[Vec<u8>]) -> Result<(), HandshakeError> {
    let len: usize = protocols.iter().map(|name| 1 + name.len()).sum();
    if len > MAX_PROTOCOL_LIST {
        return Err(HandshakeError::config(format!(
            "{} ALPN protocols of {len} bytes, lengths included, do not fit a ClientHello: \
             at most {MAX_PROTOCOL_LIST} bytes do",
            protocols.len()
        )));
    }
    Ok(())
}

/// Refuses a chain that is too long for a Certificate message (RFC 8446 §4.4.2).
pub(super) fn check_chain(
    source: &str,
    chain: &[CertificateDer<'_>],
) -> Result<(), HandshakeError> {
    let len: usize = chain
        .iter()
        .map(|cert| CERTIFICATE_OVERHEAD + cert.len())
        .sum();
    if len + MESSAGE_OVERHEAD > U24_MAX {
        return Err(HandshakeError::config(format!(
            "the {} certificates of {source} have {len} bytes, lengths included: \
             a Certificate message has room for {}",
            chain.len(),
            U24_MAX - MESSAGE_OVERHEAD
        )));
    }
    Ok(())
}

/// The length prefixes of a certificate and of its extensions in TLS 1.3.
const CERTIFICATE_OVERHEAD: usize = 3 + 2;
/// The length prefixes of the request context in TLS 1.3 and of the list.
const MESSAGE_OVERHEAD: usize = 1 + 3;

/// Refuses a number of tickets for which no client can ask.
pub(super) fn check_tickets(count: usize) -> Result<(), HandshakeError> {
    if count > MAX_TICKETS {
        let text = format!("{count} tickets are too many for one handshake: at most {MAX_TICKETS}");
        return Err(HandshakeError::config(text));
    }
    Ok(())
}

/// Returns `true` if the names of all authorities fit in a CertificateRequest.
///
/// The names are hints. A server that sends none accepts a certificate of any authority (RFC 8446
/// §4.2.4) and verifies it when it arrives. Sending only some of the names would be worse than
/// sending none, since clients do not offer a certificate of an authority that is missing.
pub(super) fn authorities_fit(names: &[DistinguishedName]) -> bool {
    let len: usize = names.iter().map(|name| 2 + name.as_ref().len()).sum();
    len <= MAX_AUTHORITY_LIST
}

/// Issues no ticket if it would be too long to be sent back.
///
/// A ticket contains the client's certificate chain, so its length is not fixed.
#[derive(Debug)]
pub(super) struct BoundedTickets<T>(pub(super) T);

impl<T: ProducesTickets> ProducesTickets for BoundedTickets<T> {
    fn enabled(&self) -> bool {
        self.0.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.0.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let ticket = self.0.encrypt(plain)?;
        (ticket.len() <= MAX_TICKET).then_some(ticket)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        (cipher.len() <= MAX_TICKET).then(|| self.0.decrypt(cipher))?
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::default_provider;

    use super::*;
    use crate::handshake::tickets::RatchetedTickets;

    #[test]
    fn a_chain_fits_or_is_refused_with_its_length() {
        let cert = CertificateDer::from(vec![0; 65_531]);
        let fits = vec![cert.clone(); 255];
        check_chain("cert", &fits).unwrap();
        let too_long = vec![cert; 256];
        let text = check_chain("cert", &too_long).unwrap_err().to_string();
        assert_eq!(
            text,
            "the 256 certificates of cert have 16777216 bytes, lengths included: \
             a Certificate message has room for 16777211"
        );
    }

    #[test]
    fn the_last_byte_that_fits_a_certificate_message_is_taken() {
        for (len, fits) in [(U24_MAX - 9, true), (U24_MAX - 8, false)] {
            let chain = [CertificateDer::from(vec![0; len])];
            assert_eq!(check_chain("cert", &chain).is_ok(), fits, "{len}");
        }
    }

    #[test]
    fn a_ticket_that_a_client_could_not_send_back_is_not_made() {
        let random = default_provider().secure_random;
        let tickets = BoundedTickets(RatchetedTickets::new(random).unwrap());
        assert!(tickets.enabled());
        let short = tickets.encrypt(&[7; 1000]).unwrap();
        assert_eq!(tickets.decrypt(&short).unwrap(), [7; 1000]);
        assert_eq!(tickets.encrypt(&[7; MAX_TICKET]), None);
        assert_eq!(tickets.encrypt(&[7; 1 << 17]), None);
    }
}
