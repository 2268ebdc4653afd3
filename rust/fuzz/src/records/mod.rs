//! Hostile bytes against everything that reads the wire: what is opened does not depend on how the
//! wire was cut, and nothing is opened that was not sealed.

mod crypto_info;
mod opener;
mod receiver;
mod scanner;
mod script;

use libfuzzer_sys::arbitrary::Unstructured;

use self::script::PeerScript;

/// Reads `input` as a kernel struct, and then what it describes as a peer's wire.
///
/// # Panics
/// When two ways of reading differ, or something forged is taken for genuine.
pub fn check(input: &[u8]) {
    crypto_info::check(input);
    let script = PeerScript::read(&mut Unstructured::new(input)).expect("zeros follow an input");
    scanner::check(&script.sent);
    opener::check(&script);
    receiver::check(&script);
}
