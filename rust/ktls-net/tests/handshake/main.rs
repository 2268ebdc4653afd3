//! Handshakes of our client with our server, in memory, and with peers that misbehave.

mod alerts;
mod config;
mod early_data;
mod keylog;
mod keys;
mod limits;
mod pair;
mod pki;
mod refused;
mod rustls_peer;
mod suites;
