//! Tests everything that reads the wire with hostile bytes. What is opened must not depend on how
//! the wire was split, and nothing may be opened that was not sealed.

mod crypto_info;
mod opener;
mod receiver;
mod scanner;
mod script;

use libfuzzer_sys::arbitrary::Unstructured;

use self::script::PeerScript;

/// Parses `input` as a kernel struct, and then reads the wire of the peer that it describes.
///
/// # Panics
/// Panics if two ways of reading differ, or if a forged record is accepted.
pub fn check(input: &[u8]) {
    crypto_info::check(input);
    let script =
        PeerScript::read(&mut Unstructured::new(input)).expect("an input is followed by zeros");
    scanner::check(&script.sent);
    opener::check(&script);
    receiver::check(&script);
}
