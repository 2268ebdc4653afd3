//! The traffic keys of a run.

use fastrand::Rng;
use ktls_aead::PROVIDER;
use ktls_core::TrafficSecret;
use ktls_core::crypto_info::CryptoInfo;
use ktls_core::key::TrafficKey;

use crate::scenario::Scenario;

/// The keys of all generations of one direction, derived on demand.
#[derive(Debug)]
pub(super) struct DirectionKeys {
    secret: TrafficSecret,
    infos: Vec<CryptoInfo>,
}

impl DirectionKeys {
    pub(super) fn new(secret: TrafficSecret) -> Self {
        Self {
            secret,
            infos: Vec::new(),
        }
    }

    pub(super) fn info(&mut self, generation: u32) -> CryptoInfo {
        while self.infos.len() <= generation as usize {
            let made = self.secret.crypto_info(&PROVIDER, 0);
            self.infos.push(made.expect(SUPPORTED));
            self.secret = self.secret.next(&PROVIDER).expect(SUPPORTED);
        }
        self.infos[generation as usize].clone()
    }
}

/// Returns the traffic key for a `crypto_info` struct.
pub(super) fn expand(info: CryptoInfo) -> TrafficKey {
    TrafficKey::new(info, &PROVIDER).expect(SUPPORTED)
}

/// Returns the first traffic secrets of both hosts' streams.
#[must_use]
pub fn secrets(scenario: &Scenario) -> [TrafficSecret; 2] {
    let mut rng = Rng::with_seed(scenario.seed ^ SECRETS_SEED);
    [(); 2].map(|()| {
        let (suite, len) = if scenario.cipher_type == 52 {
            (0x1302, 48)
        } else {
            (0x1301, 32)
        };
        let secret: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
        TrafficSecret::new(suite, &secret, 0).expect(SUPPORTED)
    })
}

const SUPPORTED: &str = "the provider has AES-GCM and SHA-2";
const SECRETS_SEED: u64 = 0x5ec2_e700_0000_0000;
