//! The key log.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ktls_aead::PROVIDER;
use ktls_core::{CryptoInfo, Direction, TrafficSecret};
use ktls_net::handshake::{HandshakeErrorKind, ServerConfig};

use crate::pair::{configs, established};
use crate::pki::PKI;

/// A file that only this test uses. It is removed before and after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_logged_secrets_are_those_of_the_connection() {
    let scratch = Scratch::new("keylog-tls13");
    let mut options = PKI.ecdsa.server();
    options.suites = Some(vec!["TLS_AES_128_GCM_SHA256".into()]);
    options.tickets = 0;
    options.keylog = Some(scratch.0.clone());
    let (server, client) = configs(&options, &PKI.client());
    let (_, mut client) = established(&server, &client, usize::MAX);

    let log = fs::read_to_string(&scratch.0).unwrap();
    let secret = |label| TrafficSecret::new(0x1301, &logged(&log, label), 0).unwrap();
    let (tx, rx) = (
        secret("CLIENT_TRAFFIC_SECRET_0"),
        secret("SERVER_TRAFFIC_SECRET_0"),
    );
    assert!(crypto_info(&tx).same_as(&client.tx));
    assert!(crypto_info(&rx).same_as(&client.rx));

    // The chain of our own key schedule is the same (RFC 8446 §7.2).
    let next = client.keys.next(Direction::Tx).unwrap();
    assert!(crypto_info(&tx.next(&PROVIDER).unwrap()).same_as(&next));
    let next = client.keys.next(Direction::Rx).unwrap();
    assert!(crypto_info(&rx.next(&PROVIDER).unwrap()).same_as(&next));
}

#[test]
fn lines_are_appended_and_only_the_owner_reads_them() {
    let scratch = Scratch::new("keylog-lines");
    let mut options = PKI.client();
    options.keylog = Some(scratch.0.clone());
    options.suites = Some(vec!["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384".into()]);
    let (server, client) = configs(&PKI.ecdsa.server(), &options);
    established(&server, &client, usize::MAX);
    established(&server, &client, usize::MAX);

    let log = fs::read_to_string(&scratch.0).unwrap();
    let lines: Vec<Vec<&str>> = log.lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!(
            (line[0], line[1].len(), line[2].len()),
            ("CLIENT_RANDOM", 64, 96)
        );
    }
    let mode = fs::metadata(&scratch.0).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_log_that_cannot_be_opened_is_named() {
    let mut options = PKI.ecdsa.server();
    options.keylog = Some("/nowhere/keys.log".into());
    let error = ServerConfig::new(&options).unwrap_err();
    assert_eq!(error.kind(), HandshakeErrorKind::Config);
    let text = error.to_string();
    assert!(
        text.starts_with("the key log /nowhere/keys.log cannot be opened: "),
        "{text}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_harms_no_connection() {
    let mut options = PKI.ecdsa.server();
    options.keylog = Some("/dev/full".into());
    let (server, client) = configs(&options, &PKI.client());
    for _ in 0..2 {
        established(&server, &client, usize::MAX);
    }
}

fn crypto_info(secret: &TrafficSecret) -> CryptoInfo {
    secret.crypto_info(&PROVIDER, 0).unwrap()
}

fn logged(log: &str, label: &str) -> Vec<u8> {
    let line = log
        .lines()
        .find(|line| line.starts_with(label))
        .expect(label);
    let digits = line.rsplit(' ').next().unwrap();
    let bytes = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    bytes
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}
