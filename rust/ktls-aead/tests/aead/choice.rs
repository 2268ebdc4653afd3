//! Which implementation is chosen, by preference or by the environment variable.

use std::process::Command;

use ktls_aead::{Aead, AesGcmPreference, PROVIDER, cpu_features};
use ktls_core::Error;
use ktls_core::aead::Provider;
use ktls_core::suite::{AeadAlgorithm, CIPHERS};

const GCM: [AeadAlgorithm; 2] = [AeadAlgorithm::Aes128Gcm, AeadAlgorithm::Aes256Gcm];

/// Returns the fastest implementation of AES-GCM on a CPU with these features.
fn fastest_gcm(features: &[&str]) -> &'static str {
    let has = |names: &[&str]| names.iter().all(|name| features.contains(name));
    if !has(&["aes", "pclmulqdq", "avx2", "vaes", "vpclmulqdq"]) {
        "aws-lc"
    } else if has(&["avx512f", "avx512bw"]) {
        "vaes-avx512"
    } else {
        "vaes-avx2"
    }
}

#[test]
fn every_cipher_has_its_chosen_implementation() {
    for cipher in &CIPHERS {
        let want = match cipher.algorithm {
            AeadAlgorithm::Aes128Gcm | AeadAlgorithm::Aes256Gcm => fastest_gcm(&cpu_features()),
            AeadAlgorithm::ChaCha20Poly1305 => "aws-lc",
            _ => "rustcrypto",
        };
        let auto = Aead::with(AesGcmPreference::Auto);
        assert_eq!(auto.implementation(cipher.algorithm), Some(want));
    }
}

#[test]
fn aws_lc_serves_aes_gcm_if_it_is_preferred() {
    for algorithm in GCM {
        let provider = Aead::with(AesGcmPreference::AwsLc);
        assert_eq!(provider.implementation(algorithm), Some("aws-lc"));
    }
}

#[test]
fn vaes_is_used_or_the_refusal_names_what_the_cpu_lacks() {
    let provider = Aead::with(AesGcmPreference::Vaes);
    for algorithm in GCM {
        match fastest_gcm(&cpu_features()) {
            "aws-lc" => {
                assert_eq!(provider.implementation(algorithm), None);
                let refused = provider.record_key(algorithm, &[0; 16]).err().unwrap();
                assert!(
                    refused
                        .to_string()
                        .starts_with("KTLS_FAST_AEAD is \"vaes\": this CPU ")
                );
            }
            fastest => assert_eq!(provider.implementation(algorithm), Some(fastest)),
        }
    }
}

/// Runs in a process of its own for each value, since the variable is read once per process.
#[test]
#[ignore = "run by the_environment_variable_chooses_the_implementation, which sets KTLS_FAST_AEAD"]
fn chosen_by_the_environment() {
    let value = std::env::var("KTLS_FAST_AEAD").unwrap();
    let auto = fastest_gcm(&cpu_features());
    let [key_128, chacha] = [AeadAlgorithm::Aes128Gcm, AeadAlgorithm::ChaCha20Poly1305];
    match &*value {
        "aws-lc" => assert_eq!(PROVIDER.implementation(key_128), Some("aws-lc")),
        "auto" | "" => assert_eq!(PROVIDER.implementation(key_128), Some(auto)),
        _ => {
            let refused = PROVIDER.record_key(key_128, &[0; 16]).err();
            let Some(Error::BadSetting {
                name,
                value: said,
                problem,
            }) = refused
            else {
                panic!("{refused:?}");
            };
            assert_eq!((name, said), ("KTLS_FAST_AEAD", &*value));
            assert_eq!(problem, "it is auto, vaes or aws-lc");
            assert_eq!(PROVIDER.implementation(key_128), None);
        }
    }
    assert_eq!(PROVIDER.implementation(chacha), Some("aws-lc"));
}

#[test]
fn the_environment_variable_chooses_the_implementation() {
    for value in ["aws-lc", "auto", "", "aws_lc", "AUTO"] {
        let test = ["choice::chosen_by_the_environment", "--exact", "--ignored"];
        let run = Command::new(std::env::current_exe().unwrap())
            .args(test)
            .env("KTLS_FAST_AEAD", value)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(
            run.status.success() && said.contains("1 passed"),
            "{value:?}: {said}"
        );
    }
}
