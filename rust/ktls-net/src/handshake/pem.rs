//! PEM files as OpenSSL reads and writes them, and the certificates in them.
//!
//! Text outside of sections is a comment: OpenSSL writes "Bag Attributes" and whole printed
//! certificates there. A section may begin with headers (RFC 1421). Its lines may be of any length
//! and end in LF, CR or both. Sections of unknown kinds are allowed.

use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode, Reader, SliceReader};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error, PemObject, SectionKind};
use zeroize::Zeroizing;

use super::certificate;
use crate::error::HandshakeError;

/// Returns all certificates in order: at least one. `source` names the PEM in error messages.
pub(super) fn chain(
    source: &str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, HandshakeError> {
    let sections = sections(source, pem).collect::<Result<Vec<_>, _>>()?;
    let chain: Vec<_> = sections
        .iter()
        .filter_map(|section| certificate(source, section).transpose())
        .collect::<Result<_, _>>()?;
    if chain.is_empty() {
        let text = "certificate: PEM with \"-----BEGIN CERTIFICATE-----\" is needed";
        return Err(missing_section(source, text, pem, &sections));
    }
    Ok(chain)
}

/// Returns all certificates as roots to trust.
pub(super) fn roots(source: &str, pem: &[u8]) -> Result<RootCertStore, HandshakeError> {
    let mut roots = RootCertStore::empty();
    for (index, cert) in chain(source, pem)?.into_iter().enumerate() {
        let refused = certificate::unusable(source, index, &cert);
        roots.add(cert).map_err(|_| refused)?;
    }
    Ok(roots)
}

/// The text between a BEGIN line and its END line.
#[derive(Debug)]
pub(super) struct PemSection<'a> {
    pub(super) label: &'a str,
    /// All lines of the section. They are not stored one by one: for a file of empty lines that
    /// would take many times its size.
    body: &'a [u8],
}

impl<'a> PemSection<'a> {
    /// Returns the lines that are headers, such as `Proc-Type: 4,ENCRYPTED`.
    pub(super) fn headers(&self) -> impl Iterator<Item = &'a [u8]> {
        lines(self.body).filter(|line| line.contains(&b':'))
    }

    fn lines_of_base64(&self) -> impl Iterator<Item = &'a [u8]> {
        lines(self.body).filter(|line| !line.contains(&b':'))
    }

    /// Decodes the base64 of the section.
    pub(super) fn decode(&self, source: &str) -> Result<Zeroizing<Vec<u8>>, HandshakeError> {
        // The decoder accepts only whole sections of a kind that it knows. As a private key, the
        // section is decoded in constant time.
        let len = self
            .lines_of_base64()
            .map(|line| line.len() + 1)
            .sum::<usize>();
        let mut pem = Zeroizing::new(Vec::with_capacity(len + 2 * PLAIN_END.len()));
        pem.extend_from_slice(PLAIN_BEGIN);
        for line in self.lines_of_base64() {
            pem.extend_from_slice(line);
            pem.push(b'\n');
        }
        pem.extend_from_slice(PLAIN_END);
        match <(SectionKind, Vec<u8>)>::from_pem_slice(&pem) {
            Ok((_, der)) => Ok(Zeroizing::new(der)),
            Err(Error::Base64Decode(_)) => Err(parse_error(source, "its base64 does not decode")),
            Err(_) => Err(parse_error(source, "it is not PEM")),
        }
    }
}

const PLAIN_BEGIN: &[u8] = b"-----BEGIN PRIVATE KEY-----\n";
const PLAIN_END: &[u8] = b"-----END PRIVATE KEY-----\n";

/// Returns all sections, of any kind. An error is the last item.
pub(super) fn sections<'a>(
    source: &'a str,
    pem: &'a [u8],
) -> impl Iterator<Item = Result<PemSection<'a>, HandshakeError>> {
    let mut rest = pem.strip_prefix(BYTE_ORDER_MARK).unwrap_or(pem);
    std::iter::from_fn(move || {
        while let Some(line) = next_line(&mut rest) {
            if let Some(label) = begin_label(line) {
                return Some(section(source, label, &mut rest));
            }
        }
        None
    })
}

/// Returns the label if `line` is a BEGIN line. A line that only starts like one is a comment, as
/// in OpenSSL.
fn begin_label(line: &[u8]) -> Option<&str> {
    line.strip_prefix(BEGIN)?
        .strip_suffix(b"-----")
        .and_then(as_utf8)
}

const BEGIN: &[u8] = b"-----BEGIN ";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn section<'a>(
    source: &str,
    label: &'a str,
    rest: &mut &'a [u8],
) -> Result<PemSection<'a>, HandshakeError> {
    let begin = *rest;
    let mut body = 0;
    while let Some(line) = next_line(rest) {
        if is_end_of(label, line) {
            let body = &begin[..body];
            return Ok(PemSection { label, body });
        }
        body = begin.len() - rest.len();
    }
    Err(parse_error(source, "a section has no END line"))
}

fn lines(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || next_line(&mut text))
}

/// Takes a line from the front, without the white space at its end.
fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    let (line, behind) = rest.split_at(end.unwrap_or(rest.len()));
    *rest = behind.get(1..).unwrap_or_default();
    Some(line.trim_ascii_end())
}

fn is_end_of(label: &str, line: &[u8]) -> bool {
    line.strip_prefix(b"-----END ")
        .and_then(|rest| rest.strip_suffix(b"-----"))
        .is_some_and(|end| end == label.as_bytes())
}

fn as_utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Returns the certificate in a section, or `None` if the section holds something else.
fn certificate(
    source: &str,
    section: &PemSection<'_>,
) -> Result<Option<CertificateDer<'static>>, HandshakeError> {
    match section.label {
        "CERTIFICATE" | "X509 CERTIFICATE" => {
            let der = section.decode(source)?;
            Ok(Some(CertificateDer::from(der.to_vec())))
        }
        // The certificate is followed by the purposes that OpenSSL trusts it for, which are
        // ignored.
        "TRUSTED CERTIFICATE" => {
            let der = section.decode(source)?;
            let first =
                first_element(&der).ok_or_else(|| parse_error(source, "it is not X.509"))?;
            Ok(Some(CertificateDer::from(first.to_vec())))
        }
        _ => Ok(None),
    }
}

/// Returns the first of several consecutive DER elements, with its header.
fn first_element(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    AnyRef::decode(&mut reader).ok()?;
    der.get(..usize::try_from(reader.position()).ok()?)
}

/// Returns the error that nothing of the wanted kind was found. It lists the labels that were
/// found.
pub(super) fn missing_section(
    source: &str,
    wanted: &str,
    pem: &[u8],
    sections: &[PemSection<'_>],
) -> HandshakeError {
    let hint = match (sections, pem) {
        ([], [0x30, ..]) if !pem.is_ascii() => {
            "; it looks like DER or PKCS#12, which `openssl x509`, `openssl pkey` and \
             `openssl pkcs12` convert to PEM"
                .to_owned()
        }
        ([], _) if lines(pem).any(|line| line.starts_with(BEGIN)) => {
            "; its BEGIN line is malformed".to_owned()
        }
        ([], _) => String::new(),
        _ => {
            let labels = sections.iter().map(|section| section.label.to_owned());
            format!("; it has {}", super::descriptions::join_first(labels))
        }
    };
    HandshakeError::config(format!("{source} holds no {wanted}{hint}"))
}

/// Returns the error that `source` does not parse. `why` is always our own text: that of the
/// decoder quotes the input, which may be a key.
pub(super) fn parse_error(source: &str, why: &str) -> HandshakeError {
    HandshakeError::config(format!("{source} does not parse: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_pem_is_said() {
        for (pem, text) in [
            (
                &b""[..],
                "cert holds no certificate: PEM with \"-----BEGIN CERTIFICATE-----\" is needed",
            ),
            (
                b"-----BEGIN CERTIFICATE-----\nAAAA\n",
                "cert does not parse: a section has no END line",
            ),
            (
                b"-----BEGIN CERTIFICATE---\n",
                "cert holds no certificate: PEM with \"-----BEGIN CERTIFICATE-----\" is needed; \
                 its BEGIN line is malformed",
            ),
            (
                b"-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n",
                "cert does not parse: its base64 does not decode",
            ),
            (
                b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n",
                "cert holds no certificate: PEM with \"-----BEGIN CERTIFICATE-----\" is needed; \
                 it has DH PARAMETERS",
            ),
            (
                b"\x30\x82\x01\x00",
                "cert holds no certificate: PEM with \"-----BEGIN CERTIFICATE-----\" is needed; \
                 it looks like DER or PKCS#12, which `openssl x509`, `openssl pkey` and \
                 `openssl pkcs12` convert to PEM",
            ),
        ] {
            assert_eq!(chain("cert", pem).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn sections_are_found_between_any_text_and_line_ends() {
        let plain = "-----BEGIN CERTIFICATE-----\nMAMC\nAQc=\n-----END CERTIFICATE-----\n";
        let comment = "Bag Attributes\n    friendlyName: ENCRYPTED PRIVATE KEY\n\n";
        for pem in [
            plain.to_owned(),
            plain.replace('\n', "\r\n"),
            plain.replace('\n', "\r"),
            plain.replace('\n', "  \n"),
            plain.replace("MAMC\n", "M\nA\n\nMC\n"),
            plain.replace("MAMC\n", "MAMC"),
            plain.trim_end().to_owned(),
            format!("\u{feff}{plain}"),
            format!("{comment}{plain}{comment}"),
            plain.replace("CERTIFICATE", "X509 CERTIFICATE"),
            plain
                .replace("CERTIFICATE", "TRUSTED CERTIFICATE")
                .replace("AQc=", "AQcwAA=="),
        ] {
            let chain = chain("cert", pem.as_bytes()).unwrap();
            assert_eq!(
                chain,
                [CertificateDer::from(&[0x30, 3, 2, 1, 7][..])],
                "{pem:?}"
            );
        }
    }

    #[test]
    fn headers_are_told_from_base64() {
        let pem =
            b"-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: X\n\nAQ==\n-----END X-----\n";
        let sections: Vec<_> = sections("key", pem).map(Result::unwrap).collect();
        assert_eq!(
            sections[0].headers().next().unwrap(),
            b"Proc-Type: 4,ENCRYPTED"
        );
        assert_eq!(*sections[0].decode("key").unwrap(), [1]);
    }

    #[test]
    fn a_root_that_is_no_certificate_is_counted() {
        let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = roots("roots", pem).unwrap_err().to_string();
        assert_eq!(text, "certificate 0 of roots does not parse as X.509");
    }
}
