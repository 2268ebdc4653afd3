//! `derive_tls12_keys`.

use ktls_aead::PROVIDER;
use ktls_core::key::{Tls12Secrets, Tls12Start};
use ktls_py_macros::from_stub;
use pyo3::prelude::*;

use crate::arguments::small;
use crate::buffer::InputBuffer;
use crate::crypto_info::PyCryptoInfo;
use crate::errors::CoreError;

#[from_stub]
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn derive_tls12_keys(
    #[pyo3(from_py_with = small::<u16>)] suite: u16,
    master_secret: InputBuffer<'_>,
    client_random: InputBuffer<'_>,
    server_random: InputBuffer<'_>,
    client_iv: Option<InputBuffer<'_>>,
    server_iv: Option<InputBuffer<'_>>,
    client_rec_seq: u64,
    server_rec_seq: u64,
) -> Result<(PyCryptoInfo, PyCryptoInfo), CoreError> {
    let secrets = Tls12Secrets {
        suite,
        master_secret: master_secret.as_slice(),
        client_random: client_random.as_slice(),
        server_random: server_random.as_slice(),
    };
    let (client, server) = secrets.derive(
        Tls12Start {
            explicit_nonce: client_iv.as_ref().map_or(&[0; 8], InputBuffer::as_slice),
            rec_seq: client_rec_seq,
        },
        Tls12Start {
            explicit_nonce: server_iv.as_ref().map_or(&[0; 8], InputBuffer::as_slice),
            rec_seq: server_rec_seq,
        },
        &PROVIDER,
    )?;
    Ok((PyCryptoInfo(client), PyCryptoInfo(server)))
}
