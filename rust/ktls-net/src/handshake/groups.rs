//! The groups of the key exchange.

use ktls_core::quoted;
use rustls::NamedGroup;
use rustls::crypto::aws_lc_rs::{ALL_KX_GROUPS, DEFAULT_KX_GROUPS};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};

use super::options::GroupOptions;
use crate::error::HandshakeError;

type KxGroups = Vec<&'static dyn SupportedKxGroup>;

/// Returns the name of a group in the IANA registry.
pub(super) fn group_name(group: NamedGroup) -> String {
    match group {
        NamedGroup::X25519 => "x25519".into(),
        NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768".into(),
        // For the others, rustls uses the names of the registry.
        other => format!("{other:?}"),
    }
}

/// Returns the groups in order of preference. A client sends a key share of the first one.
pub(super) fn kx_groups(options: &GroupOptions) -> Result<KxGroups, HandshakeError> {
    let mut groups = match &options.names {
        Some(names) => named(names)?,
        None => DEFAULT_KX_GROUPS.to_vec(),
    };
    if options.prefer_post_quantum {
        let first = groups
            .iter()
            .position(|group| group.name() == NamedGroup::X25519MLKEM768)
            .ok_or_else(|| {
                let text = "prefer_post_quantum needs X25519MLKEM768 among the groups";
                HandshakeError::config(text)
            })?;
        groups[..=first].rotate_right(1);
    }
    Ok(groups)
}

/// Returns `provider` with X25519MLKEM768 as its only group.
pub(super) fn post_quantum_only(provider: &CryptoProvider) -> CryptoProvider {
    let mut provider = provider.clone();
    provider
        .kx_groups
        .retain(|group| group.name() == NamedGroup::X25519MLKEM768);
    provider
}

/// Returns the groups with these names in the order of `names`, without duplicates.
fn named(names: &[String]) -> Result<KxGroups, HandshakeError> {
    if names.is_empty() {
        let text = format!(
            "no group is allowed: name some of {}",
            joined(ALL_KX_GROUPS)
        );
        return Err(HandshakeError::config(text));
    }
    let mut groups = KxGroups::new();
    for name in names {
        let group = find(name)?;
        if !groups.iter().any(|other| other.name() == group.name()) {
            groups.push(group);
        }
    }
    Ok(groups)
}

fn find(name: &str) -> Result<&'static dyn SupportedKxGroup, HandshakeError> {
    let mut all = ALL_KX_GROUPS.iter().copied();
    all.find(|group| group_name(group.name()).eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            let all = joined(ALL_KX_GROUPS);
            HandshakeError::config(format!("group {} is not one of {all}", quoted(name)))
        })
}

/// Returns the names of groups, separated by commas.
pub(super) fn joined(groups: &[&dyn SupportedKxGroup]) -> String {
    let names = groups.iter().map(|group| group_name(group.name()));
    names.collect::<Vec<_>>().join(", ")
}
