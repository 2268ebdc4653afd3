//! Messages for errors of other crates.

use super::*;

mod catalogue;
mod certificates;
mod sentences;

#[test]
fn an_alert_has_its_name_in_the_rfc_or_its_number() {
    for (code, name) in [(48, "unknown_ca"), (112, "unrecognized_name"), (77, "77")] {
        assert_eq!(alert_name(AlertDescription::from(code)), name);
    }
}

#[test]
fn plain_protocols_are_named() {
    for (first, text) in [
        (&b"GET /"[..], "the peer speaks plain HTTP, not TLS"),
        (b"HTTP/", "the peer speaks plain HTTP, not TLS"),
        (
            b"SSH-2",
            "the peer does not speak TLS: it begins with \"SSH-2\"",
        ),
        (
            b"\0\x01\xff\"\n",
            r#"the peer does not speak TLS: it begins with "\x00\x01\xff\"\n""#,
        ),
    ] {
        assert_eq!(not_tls(first), text);
    }
}

#[test]
fn spans_are_told_in_the_unit_that_fits() {
    for (seconds, text) in [(59, "59 seconds"), (7_200, "2 hours"), (864_000, "10 days")] {
        assert_eq!(format_duration(seconds), text);
    }
}
