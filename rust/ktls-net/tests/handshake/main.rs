//! Handshakes in memory, between our client and our server and with misbehaving peers.

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
