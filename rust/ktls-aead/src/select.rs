//! Which implementation serves which algorithm: one table, and the environment variable
//! `KTLS_FAST_AEAD`.

use std::sync::OnceLock;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305};
use ktls_core::Error;
use ktls_core::aead::RecordKey;
use ktls_core::suite::AeadAlgorithm;

use crate::rustcrypto::{Aes128Ccm, Aria128Gcm, Aria256Gcm, Sm4Ccm, Sm4Gcm};
use crate::vaes::{self, DetectedEngine};
use crate::{aws_lc, rustcrypto};

/// Which implementation of AES-GCM to use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AesGcmPreference {
    /// The fastest that works on this CPU.
    Auto,
    /// Our own; keys are refused if this CPU cannot run it.
    Vaes,
    /// aws-lc.
    AwsLc,
}

/// Expands a key of one algorithm, by one implementation.
type ExpandAnyKey = fn(&[u8]) -> Result<Box<dyn RecordKey>, Error>;

/// One implementation of one algorithm.
#[derive(Clone, Copy)]
pub(crate) struct AeadImplementation {
    pub(crate) implementation: &'static str,
    pub(crate) record_key: ExpandAnyKey,
}

/// Returns the implementation of an algorithm: for AES-GCM the preferred one, else aws-lc if it has
/// the AEAD with a nonce of 12 bytes and a tag of 16, else RustCrypto.
///
/// # Errors
/// [`Error::BadSetting`] if the environment variable has an unknown value, or if our own AES-GCM is
/// preferred and this CPU cannot run it.
pub(crate) fn implementation_of(
    algorithm: AeadAlgorithm,
    preference: Option<AesGcmPreference>,
) -> Result<AeadImplementation, Error> {
    Ok(match algorithm {
        AeadAlgorithm::Aes128Gcm | AeadAlgorithm::Aes256Gcm => {
            return aes_gcm(algorithm, preference);
        }
        AeadAlgorithm::Aes128Ccm => by_rustcrypto(rustcrypto::record_key::<Aes128Ccm>),
        AeadAlgorithm::ChaCha20Poly1305 => {
            by_aws_lc(|key| aws_lc::record_key(&CHACHA20_POLY1305, key))
        }
        AeadAlgorithm::Sm4Gcm => by_rustcrypto(rustcrypto::record_key::<Sm4Gcm>),
        AeadAlgorithm::Sm4Ccm => by_rustcrypto(rustcrypto::record_key::<Sm4Ccm>),
        AeadAlgorithm::Aria128Gcm => by_rustcrypto(rustcrypto::record_key::<Aria128Gcm>),
        AeadAlgorithm::Aria256Gcm => by_rustcrypto(rustcrypto::record_key::<Aria256Gcm>),
    })
}

/// Returns the implementation of AES-GCM. Without a preference, the environment variable decides.
///
/// # Errors
/// [`Error::BadSetting`] if the environment variable has an unknown value, or if our own AES-GCM is
/// preferred and this CPU cannot run it.
fn aes_gcm(
    algorithm: AeadAlgorithm,
    preference: Option<AesGcmPreference>,
) -> Result<AeadImplementation, Error> {
    match preference.map_or_else(from_environment, Ok)? {
        AesGcmPreference::AwsLc => Ok(gcm_by_aws_lc(algorithm)),
        AesGcmPreference::Vaes => vaes::detected_engine()
            .map(|engine| gcm_by(engine, algorithm))
            .map_err(refused),
        AesGcmPreference::Auto => Ok(vaes::detected_engine().map_or_else(
            |_| gcm_by_aws_lc(algorithm),
            |engine| gcm_by(engine, algorithm),
        )),
    }
}

fn gcm_by(engine: DetectedEngine, algorithm: AeadAlgorithm) -> AeadImplementation {
    AeadImplementation {
        implementation: engine.implementation,
        record_key: if algorithm == AeadAlgorithm::Aes128Gcm {
            engine.aes_128
        } else {
            engine.aes_256
        },
    }
}

fn gcm_by_aws_lc(algorithm: AeadAlgorithm) -> AeadImplementation {
    if algorithm == AeadAlgorithm::Aes128Gcm {
        by_aws_lc(|key| aws_lc::record_key(&AES_128_GCM, key))
    } else {
        by_aws_lc(|key| aws_lc::record_key(&AES_256_GCM, key))
    }
}

fn refused(problem: &'static str) -> Error {
    Error::BadSetting {
        name: VARIABLE,
        value: "vaes",
        problem,
    }
}

/// Returns the preference of the environment variable, which is read once per process.
///
/// # Errors
/// [`Error::BadSetting`] if the value is unknown.
fn from_environment() -> Result<AesGcmPreference, Error> {
    static VALUE: OnceLock<String> = OnceLock::new();
    let value = VALUE.get_or_init(|| {
        let value = std::env::var_os(VARIABLE).unwrap_or_default();
        value.to_string_lossy().into_owned()
    });
    parse_preference(value)
}

fn parse_preference(value: &'static str) -> Result<AesGcmPreference, Error> {
    match value {
        "" | "auto" => Ok(AesGcmPreference::Auto),
        "vaes" => Ok(AesGcmPreference::Vaes),
        "aws-lc" => Ok(AesGcmPreference::AwsLc),
        _ => Err(Error::BadSetting {
            name: VARIABLE,
            value,
            problem: "it is auto, vaes or aws-lc",
        }),
    }
}

fn by_aws_lc(record_key: ExpandAnyKey) -> AeadImplementation {
    AeadImplementation {
        implementation: "aws-lc",
        record_key,
    }
}

fn by_rustcrypto(record_key: ExpandAnyKey) -> AeadImplementation {
    AeadImplementation {
        implementation: "rustcrypto",
        record_key,
    }
}

/// The name of the environment variable.
const VARIABLE: &str = "KTLS_FAST_AEAD";
