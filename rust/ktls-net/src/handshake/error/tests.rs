//! Sentences for errors of other crates.

use rustls::PeerMisbehaved;

use super::*;

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

#[test]
fn a_failed_signature_is_no_riddle() {
    let error = Rustls::InvalidCertificate(CertificateError::BadSignature);
    let offer = OurOffer {
        versions: String::new(),
        suites: String::new(),
    };
    let context = FailureContext {
        server_name: Some("a.test"),
        alpn: &[],
        offer: &offer,
    };
    let text = context.explain(&error);
    assert_eq!(
        text,
        "the certificate of \"a.test\" cannot be trusted: a signature by its key, or in its chain, \
         does not verify; it is forged, or was made with an RSA key outside of 2048 to 8192 bits, \
         which is not supported"
    );
}

/// No names of types, no brackets of `Debug`, nothing that only a reader of Rust could know.
fn assert_plain(text: &str) {
    let foreign = [
        "{", "}", "::", "Error", "_id", "Some(", "Context", " kx", "psk", "tls12", "[6",
    ];
    for word in foreign {
        assert!(!text.contains(word), "{text:?} has {word:?}");
    }
    let type_name = text
        .split(|c: char| !c.is_alphanumeric())
        .find(|word| word.starts_with(char::is_uppercase) && has_hump(word));
    assert!(
        type_name.is_none_or(|word| word == "ClientHello"),
        "{text:?}"
    );
    assert!(
        !text.starts_with(char::is_uppercase) && !text.ends_with('.'),
        "{text:?}"
    );
}

/// True where a capital follows a small letter.
fn has_hump(word: &str) -> bool {
    let letters = word.as_bytes();
    letters
        .windows(2)
        .any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
}

fn explained(error: &Rustls) -> String {
    let offer = OurOffer {
        versions: "TLSv1.3 alone".into(),
        suites: "TLS_AES_128_GCM_SHA256".into(),
    };
    let context = FailureContext {
        server_name: Some("a.test"),
        alpn: &[b"h2".to_vec()],
        offer: &offer,
    };
    context.explain(error)
}

#[test]
fn every_error_of_the_library_becomes_a_plain_sentence() {
    let misbehaved = PEER_MISBEHAVED.iter().cloned().map(Rustls::PeerMisbehaved);
    let incompatible = PEER_INCOMPATIBLE
        .iter()
        .cloned()
        .map(Rustls::PeerIncompatible);
    let malformed = INVALID_MESSAGE.iter().cloned().map(Rustls::InvalidMessage);
    let certificates = certificate_errors()
        .into_iter()
        .map(Rustls::InvalidCertificate);
    let errors = misbehaved
        .chain(incompatible)
        .chain(malformed)
        .chain(certificates);
    for error in errors.chain(other_errors()) {
        assert_plain(&explained(&error));
        assert_plain(&internal_failure(&error));
    }
}

#[test]
fn every_error_of_the_verifier_becomes_a_plain_sentence() {
    for name in VERIFIER_ERRORS {
        assert_plain(&format!(
            "the certificate of \"a.test\" {}",
            verifier_fault(name)
        ));
    }
}

#[test]
fn an_algorithm_that_is_not_supported_is_named() {
    let sha1 = vec![6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 5, 5, 0];
    let p224 = vec![
        6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 33,
    ];
    let ecdsa = vec![6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let error = CertificateError::UnsupportedSignatureAlgorithmContext {
        signature_algorithm_id: sha1,
        supported_algorithms: Vec::new(),
    };
    assert_eq!(
        certificate_fault(&error),
        "or its chain is signed by RSA with SHA-1, which is not supported"
    );
    let error = CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
        signature_algorithm_id: ecdsa,
        public_key_algorithm_id: p224,
    };
    assert_eq!(
        certificate_fault(&error),
        "or its chain is signed by ECDSA with SHA-256 with a key of type EC on P-224, which is \
         not supported"
    );
}

#[test]
fn a_certificate_with_many_names_makes_a_short_sentence() {
    let name = |n: usize| format!("DnsName(\"host-{n}.{}.test\")", "x".repeat(60));
    let expected = rustls::pki_types::ServerName::try_from("a.test").unwrap();
    for (count, ends) in [
        (1, "test\"]"),
        (8, "test\"]"),
        (900, "and 892 more]"),
        (100_000, "more]"),
    ] {
        let error = CertificateError::NotValidForNameContext {
            expected: expected.clone(),
            presented: (0..count).map(name).collect(),
        };
        let text = certificate_fault(&error);
        assert!(text.ends_with(ends), "{text}");
        assert!(text.len() < 1000, "{} bytes", text.len());
    }
}

fn certificate_errors() -> Vec<CertificateError> {
    let time = rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(9));
    let expected = rustls::pki_types::ServerName::try_from("a.test").unwrap();
    vec![
        CertificateError::BadEncoding,
        CertificateError::Expired,
        CertificateError::ExpiredContext {
            time,
            not_after: time,
        },
        CertificateError::NotValidYet,
        CertificateError::NotValidYetContext {
            time,
            not_before: time,
        },
        CertificateError::Revoked,
        CertificateError::UnhandledCriticalExtension,
        CertificateError::UnknownIssuer,
        CertificateError::UnknownRevocationStatus,
        CertificateError::ExpiredRevocationList,
        CertificateError::ExpiredRevocationListContext {
            time,
            next_update: time,
        },
        CertificateError::BadSignature,
        CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![6, 1, 9, 9],
            supported_algorithms: Vec::new(),
        },
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![],
            public_key_algorithm_id: vec![6, 8],
        },
        CertificateError::NotValidForName,
        CertificateError::NotValidForNameContext {
            expected,
            presented: [
                "DnsName(\"b.test\")",
                "IpAddress(127.0.0.1)",
                "DirectoryName",
                "Unsupported(0x04)",
            ]
            .map(String::from)
            .into(),
        },
        CertificateError::InvalidPurpose,
        CertificateError::InvalidPurposeContext {
            required: rustls::ExtendedKeyPurpose::ServerAuth,
            presented: vec![rustls::ExtendedKeyPurpose::Other(vec![1, 2])],
        },
        CertificateError::InvalidOcspResponse,
        CertificateError::ApplicationVerificationFailure,
    ]
}

fn other_errors() -> Vec<Rustls> {
    use rustls::{CertRevocationListError, ContentType, HandshakeType, InconsistentKeys};

    vec![
        Rustls::InappropriateMessage {
            expect_types: vec![ContentType::Handshake],
            got_type: ContentType::ChangeCipherSpec,
        },
        Rustls::InappropriateMessage {
            expect_types: vec![],
            got_type: ContentType::Unknown(99),
        },
        Rustls::InappropriateHandshakeMessage {
            expect_types: vec![HandshakeType::Finished],
            got_type: HandshakeType::EncryptedExtensions,
        },
        Rustls::InappropriateHandshakeMessage {
            expect_types: vec![],
            got_type: HandshakeType::Unknown(99),
        },
        Rustls::InvalidEncryptedClientHello(rustls::EncryptedClientHelloError::SniRequired),
        Rustls::NoCertificatesPresented,
        Rustls::UnsupportedNameType,
        Rustls::DecryptError,
        Rustls::EncryptError,
        Rustls::AlertReceived(AlertDescription::UnknownCA),
        Rustls::AlertReceived(AlertDescription::Unknown(200)),
        Rustls::InvalidCertRevocationList(CertRevocationListError::ParseError),
        Rustls::General("InvalidKey { id: [6, 8] }".into()),
        Rustls::FailedToGetCurrentTime,
        Rustls::FailedToGetRandomBytes,
        Rustls::HandshakeNotComplete,
        Rustls::PeerSentOversizedRecord,
        Rustls::NoApplicationProtocol,
        Rustls::BadMaxFragmentSize,
        Rustls::InconsistentKeys(InconsistentKeys::KeyMismatch),
        Rustls::Other(rustls::OtherError(std::sync::Arc::new(std::fmt::Error))),
    ]
}

const PEER_MISBEHAVED: [PeerMisbehaved; 78] = [
    PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported,
    PeerMisbehaved::BadCertChainExtensions,
    PeerMisbehaved::CipherSuiteDifferedOnRetry,
    PeerMisbehaved::DisallowedEncryptedExtension,
    PeerMisbehaved::DuplicateClientHelloExtensions,
    PeerMisbehaved::DuplicateEncryptedExtensions,
    PeerMisbehaved::DuplicateHelloRetryRequestExtensions,
    PeerMisbehaved::DuplicateNewSessionTicketExtensions,
    PeerMisbehaved::DuplicateServerHelloExtensions,
    PeerMisbehaved::DuplicateServerNameTypes,
    PeerMisbehaved::EarlyDataAttemptedInSecondClientHello,
    PeerMisbehaved::EarlyDataExtensionWithoutResumption,
    PeerMisbehaved::EarlyDataOfferedWithVariedCipherSuite,
    PeerMisbehaved::EchAcceptanceVariedAfterRetry,
    PeerMisbehaved::HandshakeHashVariedAfterRetry,
    PeerMisbehaved::IllegalHelloRetryRequestWithEmptyCookie,
    PeerMisbehaved::IllegalHelloRetryRequestWithNoChanges,
    PeerMisbehaved::IllegalHelloRetryRequestWithOfferedGroup,
    PeerMisbehaved::IllegalHelloRetryRequestWithUnofferedCipherSuite,
    PeerMisbehaved::IllegalHelloRetryRequestWithUnofferedNamedGroup,
    PeerMisbehaved::IllegalHelloRetryRequestWithUnsupportedVersion,
    PeerMisbehaved::IllegalHelloRetryRequestWithWrongSessionId,
    PeerMisbehaved::IllegalHelloRetryRequestWithInvalidEch,
    PeerMisbehaved::IllegalMiddleboxChangeCipherSpec,
    PeerMisbehaved::IllegalTlsInnerPlaintext,
    PeerMisbehaved::IncorrectBinder,
    PeerMisbehaved::InvalidCertCompression,
    PeerMisbehaved::InvalidMaxEarlyDataSize,
    PeerMisbehaved::InvalidKeyShare,
    PeerMisbehaved::KeyEpochWithPendingFragment,
    PeerMisbehaved::KeyUpdateReceivedInQuicConnection,
    PeerMisbehaved::MessageInterleavedWithHandshakeMessage,
    PeerMisbehaved::MissingBinderInPskExtension,
    PeerMisbehaved::MissingKeyShare,
    PeerMisbehaved::MissingPskExtensionInSecondClientHello,
    PeerMisbehaved::MissingPskModesExtension,
    PeerMisbehaved::MissingQuicTransportParameters,
    PeerMisbehaved::OfferedDuplicateCertificateCompressions,
    PeerMisbehaved::OfferedDuplicateKeyShares,
    PeerMisbehaved::OfferedEarlyDataWithOldProtocolVersion,
    PeerMisbehaved::OfferedEmptyApplicationProtocol,
    PeerMisbehaved::OfferedIncorrectCompressions,
    PeerMisbehaved::PskExtensionMustBeLast,
    PeerMisbehaved::PskExtensionWithMismatchedIdsAndBinders,
    PeerMisbehaved::RefusedToFollowHelloRetryRequest,
    PeerMisbehaved::RejectedEarlyDataInterleavedWithHandshakeMessage,
    PeerMisbehaved::ResumptionAttemptedWithVariedEms,
    PeerMisbehaved::ResumptionOfferedWithVariedCipherSuite,
    PeerMisbehaved::ResumptionOfferedWithVariedEms,
    PeerMisbehaved::ResumptionOfferedWithIncompatibleCipherSuite,
    PeerMisbehaved::SelectedDifferentCipherSuiteAfterRetry,
    PeerMisbehaved::SelectedInvalidPsk,
    PeerMisbehaved::SelectedTls12UsingTls13VersionExtension,
    PeerMisbehaved::SelectedUnofferedApplicationProtocol,
    PeerMisbehaved::SelectedUnofferedCertCompression,
    PeerMisbehaved::SelectedUnofferedCipherSuite,
    PeerMisbehaved::SelectedUnofferedCompression,
    PeerMisbehaved::SelectedUnofferedKxGroup,
    PeerMisbehaved::SelectedUnofferedPsk,
    PeerMisbehaved::SelectedUnusableCipherSuiteForVersion,
    PeerMisbehaved::ServerEchoedCompatibilitySessionId,
    PeerMisbehaved::ServerHelloMustOfferUncompressedEcPoints,
    PeerMisbehaved::ServerNameDifferedOnRetry,
    PeerMisbehaved::ServerNameMustContainOneHostName,
    PeerMisbehaved::SignedKxWithWrongAlgorithm,
    PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme,
    PeerMisbehaved::TooManyEmptyFragments,
    PeerMisbehaved::TooManyKeyUpdateRequests,
    PeerMisbehaved::TooManyRenegotiationRequests,
    PeerMisbehaved::TooManyWarningAlertsReceived,
    PeerMisbehaved::TooMuchEarlyDataReceived,
    PeerMisbehaved::UnexpectedCleartextExtension,
    PeerMisbehaved::UnsolicitedCertExtension,
    PeerMisbehaved::UnsolicitedEncryptedExtension,
    PeerMisbehaved::UnsolicitedSctList,
    PeerMisbehaved::UnsolicitedServerHelloExtension,
    PeerMisbehaved::WrongGroupForKeyShare,
    PeerMisbehaved::UnsolicitedEchExtension,
];

const PEER_INCOMPATIBLE: [PeerIncompatible; 21] = [
    PeerIncompatible::EcPointsExtensionRequired,
    PeerIncompatible::ExtendedMasterSecretExtensionRequired,
    PeerIncompatible::IncorrectCertificateTypeExtension,
    PeerIncompatible::KeyShareExtensionRequired,
    PeerIncompatible::NamedGroupsExtensionRequired,
    PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon,
    PeerIncompatible::NoCipherSuitesInCommon,
    PeerIncompatible::NoEcPointFormatsInCommon,
    PeerIncompatible::NoKxGroupsInCommon,
    PeerIncompatible::NoSignatureSchemesInCommon,
    PeerIncompatible::NullCompressionRequired,
    PeerIncompatible::ServerDoesNotSupportTls12Or13,
    PeerIncompatible::ServerSentHelloRetryRequestWithUnknownExtension,
    PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
    PeerIncompatible::SignatureAlgorithmsExtensionRequired,
    PeerIncompatible::SupportedVersionsExtensionRequired,
    PeerIncompatible::Tls12NotOffered,
    PeerIncompatible::Tls12NotOfferedOrEnabled,
    PeerIncompatible::Tls13RequiredForQuic,
    PeerIncompatible::UncompressedEcPointsRequired,
    PeerIncompatible::UnsolicitedCertificateTypeExtension,
];

const INVALID_MESSAGE: [InvalidMessage; 27] = [
    InvalidMessage::CertificatePayloadTooLarge,
    InvalidMessage::HandshakePayloadTooLarge,
    InvalidMessage::InvalidCcs,
    InvalidMessage::InvalidContentType,
    InvalidMessage::InvalidCertificateStatusType,
    InvalidMessage::InvalidCertRequest,
    InvalidMessage::InvalidDhParams,
    InvalidMessage::InvalidEmptyPayload,
    InvalidMessage::InvalidKeyUpdate,
    InvalidMessage::InvalidServerName,
    InvalidMessage::MessageTooLarge,
    InvalidMessage::MessageTooShort,
    InvalidMessage::MissingData("Random"),
    InvalidMessage::MissingKeyExchange,
    InvalidMessage::NoSignatureSchemes,
    InvalidMessage::TrailingData("Random"),
    InvalidMessage::UnexpectedMessage("Random"),
    InvalidMessage::UnknownProtocolVersion,
    InvalidMessage::UnsupportedCompression,
    InvalidMessage::UnsupportedCurveType,
    InvalidMessage::EmptyTicketValue,
    InvalidMessage::IllegalEmptyList("Random"),
    InvalidMessage::IllegalEmptyValue,
    InvalidMessage::DuplicateExtension(7),
    InvalidMessage::PreSharedKeyIsNotFinalExtension,
    InvalidMessage::UnknownHelloRetryRequestExtension,
    InvalidMessage::UnknownCertificateExtension,
];

const VERIFIER_ERRORS: [&str; 46] = [
    "BadDer",
    "BadDerTime",
    "CaUsedAsEndEntity",
    "CertDistrusted",
    "CertExpired",
    "CertNotValidForName",
    "CertNotValidYet",
    "CertRevoked",
    "CrlExpired",
    "EmptyEkuExtension",
    "EndEntityUsedAsCa",
    "ExtensionValueInvalid",
    "InvalidCertValidity",
    "InvalidCrlNumber",
    "InvalidNetworkMaskConstraint",
    "InvalidSerialNumber",
    "InvalidCrlSignatureForPublicKey",
    "InvalidSignatureForPublicKey",
    "IssuerNotCrlSigner",
    "MalformedDnsIdentifier",
    "MalformedExtensions",
    "MalformedNameConstraint",
    "MaximumNameConstraintComparisonsExceeded",
    "MaximumPathBuildCallsExceeded",
    "MaximumPathDepthExceeded",
    "MaximumSignatureChecksExceeded",
    "NameConstraintViolation",
    "PathLenConstraintViolated",
    "RequiredEkuNotFound",
    "SignatureAlgorithmMismatch",
    "TrailingData",
    "UnknownIssuer",
    "UnknownRevocationStatus",
    "UnsupportedCertVersion",
    "UnsupportedCriticalExtension",
    "UnsupportedCrlIssuingDistributionPoint",
    "UnsupportedCrlVersion",
    "UnsupportedDeltaCrl",
    "UnsupportedIndirectCrl",
    "UnsupportedNameType",
    "UnsupportedRevocationReason",
    "UnsupportedRevocationReasonsPartitioning",
    "UnsupportedCrlSignatureAlgorithm",
    "UnsupportedSignatureAlgorithm",
    "UnsupportedCrlSignatureAlgorithmForPublicKey",
    "UnsupportedSignatureAlgorithmForPublicKey",
];
