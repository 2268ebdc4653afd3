//! The smallest TLS 1.3 handshake from which Wireshark learns the cipher suite, the randoms and the
//! start of application data.

use std::fmt::Write;

use fastrand::Rng;
use ktls_aead::PROVIDER;
use ktls_core::TrafficSecret;
use ktls_core::key::TrafficKey;

use crate::scenario::Scenario;
use crate::world::secrets;

/// The records of both sides, one buffer for each flight.
#[derive(Debug)]
pub(super) struct HandshakeFlights {
    /// ClientHello; Finished.
    pub(super) client: [Vec<u8>; 2],
    /// ServerHello, EncryptedExtensions, Finished.
    pub(super) server: Vec<u8>,
    client_random: [u8; 32],
    secrets: [TrafficSecret; 2],
}

impl HandshakeFlights {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut rng = Rng::with_seed(scenario.seed ^ HANDSHAKE_SEED);
        let suite = secrets(scenario)[0].suite().id;
        let (client_random, server_random) = (random(&mut rng), random(&mut rng));
        let len = secrets(scenario)[0].expose().len();
        let secrets = [(); 2].map(|()| {
            let secret: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
            TrafficSecret::new(suite, &secret, 0).expect("the suite takes secrets of this length")
        });
        let finished = message(20, &vec![0x5f; len]);
        let mut server = plain_record(3, &server_hello(suite, &server_random));
        let mut flight = message(8, &[0, 0]);
        flight.extend_from_slice(&finished);
        server.extend(sealed_record(&secrets[1], &flight));
        Self {
            client: [
                plain_record(1, &client_hello(suite, &client_random)),
                sealed_record(&secrets[0], &finished),
            ],
            server,
            client_random,
            secrets,
        }
    }

    /// Returns the length of the handshake in each host's stream, in bytes.
    pub(super) fn lens(&self) -> [u64; 2] {
        let client = self.client.iter().map(Vec::len).sum::<usize>();
        [client as u64, self.server.len() as u64]
    }

    /// Returns the lines of the `SSLKEYLOGFILE`.
    pub(super) fn keylog(&self, scenario: &Scenario) -> String {
        let [client, server] = secrets(scenario);
        let [client_hs, server_hs] = &self.secrets;
        let random = hex(&self.client_random);
        let mut lines = String::new();
        for (label, secret) in [
            ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", client_hs),
            ("SERVER_HANDSHAKE_TRAFFIC_SECRET", server_hs),
            ("CLIENT_TRAFFIC_SECRET_0", &client),
            ("SERVER_TRAFFIC_SECRET_0", &server),
        ] {
            let secret = hex(secret.expose());
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{label} {random} {secret}");
        }
        lines
    }
}

fn client_hello(suite: u16, random: &[u8; 32]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(random);
    // No session ID, one cipher suite, no compression.
    body.push(0);
    body.extend_from_slice(&[0, 2]);
    body.extend_from_slice(&suite.to_be_bytes());
    body.extend_from_slice(&[1, 0]);
    // supported_versions: TLS 1.3.
    body.extend_from_slice(&[0, 7, 0, 43, 0, 3, 2, 3, 4]);
    message(1, &body)
}

fn server_hello(suite: u16, random: &[u8; 32]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(random);
    body.push(0);
    body.extend_from_slice(&suite.to_be_bytes());
    body.push(0);
    body.extend_from_slice(&[0, 6, 0, 43, 0, 2, 3, 4]);
    message(2, &body)
}

/// Returns a handshake message (RFC 8446 §4).
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (body.len() as u32).to_be_bytes();
    let mut out = vec![kind, a, b, c];
    out.extend_from_slice(body);
    out
}

fn plain_record(minor: u8, message: &[u8]) -> Vec<u8> {
    let [high, low] = (message.len() as u16).to_be_bytes();
    let mut out = vec![22, 3, minor, high, low];
    out.extend_from_slice(message);
    out
}

fn sealed_record(secret: &TrafficSecret, messages: &[u8]) -> Vec<u8> {
    let info = secret.crypto_info(&PROVIDER, 0).expect(SUPPORTED);
    let key = TrafficKey::new(info, &PROVIDER).expect(SUPPORTED);
    let mut out = vec![0; messages.len() + key.overhead()];
    key.seal(0, 22, messages, &mut out);
    out
}

fn random(rng: &mut Rng) -> [u8; 32] {
    [(); 32].map(|()| rng.u8(..))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const SUPPORTED: &str = "the provider has AES-GCM and SHA-2";
const HANDSHAKE_SEED: u64 = 0x0bad_cafe_0000_0000;
