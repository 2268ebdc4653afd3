//! The C interface: functions that need no GIL, as a table for C and as capsules for Cython.
//!
//! `include/ktls_fast.h` is the reference. Its types match the types of this module field by field.
#![expect(
    unsafe_code,
    reason = "C hands over pointers and lengths, and wants functions back"
)]

mod opener;
mod sealer;

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;

use ktls_core::{CryptoInfo, Errno};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};

use opener::{
    CBatchEnd, CKeyUpdate, COpener, CRecord, open_batch, opener_free, opener_new, opener_rekey,
    scan_key_updates,
};
use sealer::{CPiece, CSealer, seal_batch, sealer_free, sealer_new, sealer_overhead, sealer_rekey};

/// `ktls_api`. Under one version it only grows, and existing fields do not change.
#[repr(C)]
struct CApi {
    version: u32,
    size: u32,
    last_error: extern "C" fn() -> *const c_char,
    sealer_new: unsafe extern "C" fn(*const u8, usize) -> *mut CSealer,
    sealer_free: unsafe extern "C" fn(*mut CSealer),
    sealer_rekey: unsafe extern "C" fn(*mut CSealer, *const u8, usize) -> c_int,
    sealer_overhead: unsafe extern "C" fn(*const CSealer) -> usize,
    seal_batch:
        unsafe extern "C" fn(*mut CSealer, *const CPiece, usize, *mut u8, usize, *mut usize) -> i64,
    opener_new: unsafe extern "C" fn(*const u8, usize) -> *mut COpener,
    opener_free: unsafe extern "C" fn(*mut COpener),
    opener_rekey: unsafe extern "C" fn(*mut COpener, *const u8, usize) -> c_int,
    open_batch: unsafe extern "C" fn(
        *mut COpener,
        *const u8,
        usize,
        *mut u8,
        usize,
        *mut CRecord,
        usize,
        *mut CBatchEnd,
    ) -> i64,
    scan_key_updates: unsafe extern "C" fn(
        *const u8,
        usize,
        *const CRecord,
        usize,
        *mut CKeyUpdate,
        usize,
    ) -> i64,
}

static API: CApi = CApi {
    version: 1,
    size: size_of::<CApi>() as u32,
    last_error,
    sealer_new,
    sealer_free,
    sealer_rekey,
    sealer_overhead,
    seal_batch,
    opener_new,
    opener_free,
    opener_rekey,
    open_batch,
    scan_key_updates,
};

/// Adds `_C_API` and, for `cimport`, `__pyx_capi__`, whose capsules are named by the types of the
/// functions.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let functions = PyDict::new(py);
    for (name, signature, function) in functions_of(&API) {
        functions.set_item(name, capsule(py, function, signature)?)?;
    }
    module.setattr("__pyx_capi__", functions)?;
    let table = NonNull::from_ref(&API).cast();
    module.setattr("_C_API", capsule(py, table, c"ktls_fast._core._C_API")?)
}

/// The name and the type of each function, as Cython writes them.
fn functions_of(api: &CApi) -> [(&'static str, &'static CStr, NonNull<c_void>); 11] {
    let pointer = |function: *const ()| {
        NonNull::new(function.cast_mut().cast()).unwrap_or(NonNull::dangling())
    };
    [
        ("last_error", c"char const *(void)", pointer(api.last_error as _)),
        (
            "sealer_new",
            c"ktls_sealer *(uint8_t const *, size_t)",
            pointer(api.sealer_new as _),
        ),
        ("sealer_free", c"void (ktls_sealer *)", pointer(api.sealer_free as _)),
        (
            "sealer_rekey",
            c"int (ktls_sealer *, uint8_t const *, size_t)",
            pointer(api.sealer_rekey as _),
        ),
        (
            "sealer_overhead",
            c"size_t (ktls_sealer const *)",
            pointer(api.sealer_overhead as _),
        ),
        (
            "seal_batch",
            c"int64_t (ktls_sealer *, ktls_piece const *, size_t, uint8_t *, size_t, size_t *)",
            pointer(api.seal_batch as _),
        ),
        (
            "opener_new",
            c"ktls_opener *(uint8_t const *, size_t)",
            pointer(api.opener_new as _),
        ),
        ("opener_free", c"void (ktls_opener *)", pointer(api.opener_free as _)),
        (
            "opener_rekey",
            c"int (ktls_opener *, uint8_t const *, size_t)",
            pointer(api.opener_rekey as _),
        ),
        (
            "open_batch",
            c"int64_t (ktls_opener *, uint8_t const *, size_t, uint8_t *, size_t, ktls_record *, size_t, ktls_batch_end *)",
            pointer(api.open_batch as _),
        ),
        (
            "scan_key_updates",
            c"int64_t (uint8_t const *, size_t, ktls_record const *, size_t, ktls_key_update *, size_t)",
            pointer(api.scan_key_updates as _),
        ),
    ]
}

fn capsule<'py>(
    py: Python<'py>,
    pointer: NonNull<c_void>,
    name: &'static CStr,
) -> PyResult<Bound<'py, PyCapsule>> {
    // SAFETY: the pointer is to a static table or to a function: both exist as long as the process,
    // and have the C type that `name` states.
    unsafe { PyCapsule::new_with_pointer(py, pointer, name) }
}

/// The reason why a call was refused.
struct CRefusal {
    errno: Errno,
    text: String,
}

impl From<ktls_core::Error> for CRefusal {
    fn from(error: ktls_core::Error) -> Self {
        Self {
            errno: error.errno(),
            text: error.to_string(),
        }
    }
}

impl From<ktls_net::NetError> for CRefusal {
    /// A sealer only refuses the other process of a fork.
    fn from(error: ktls_net::NetError) -> Self {
        Self::new(Errno::Busy, error.to_string())
    }
}

impl CRefusal {
    fn new(errno: Errno, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { errno, text }
    }

    /// Keeps the message for `last_error`.
    fn keep_message(self) -> c_int {
        // No message of ours contains a NUL.
        LAST_ERROR.set(CString::new(self.text).unwrap_or_default());
        -self.errno.code()
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

extern "C" fn last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|text| text.as_ptr())
}

/// Returns 0, or the negative errno.
fn status(done: Result<(), CRefusal>) -> c_int {
    done.map_or_else(CRefusal::keep_message, |()| 0)
}

/// Returns a number, or the negative errno.
fn count(done: Result<usize, CRefusal>) -> i64 {
    done.map_or_else(
        |refusal| refusal.keep_message().into(),
        |count| count as i64,
    )
}

/// Returns a new object that C owns, or NULL.
fn owned<T>(made: Result<T, CRefusal>) -> *mut T {
    match made {
        Ok(made) => Box::into_raw(Box::new(made)),
        Err(refusal) => {
            refusal.keep_message();
            std::ptr::null_mut()
        }
    }
}

/// Returns the values at `start`; an empty slice for NULL.
///
/// # Safety
/// `start` is NULL, or `len` values can be read there that nothing writes to for `'a`.
unsafe fn slice<'a, T>(start: *const T, len: usize) -> &'a [T] {
    if start.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: guaranteed by the caller.
    unsafe { std::slice::from_raw_parts(start, len) }
}

/// Returns the writable values at `start`; an empty slice for NULL.
///
/// # Safety
/// `start` is NULL, or `len` values can be written there that nothing else accesses for `'a`.
unsafe fn slice_mut<'a, T>(start: *mut T, len: usize) -> &'a mut [T] {
    if start.is_null() || len == 0 {
        return &mut [];
    }
    // SAFETY: guaranteed by the caller.
    unsafe { std::slice::from_raw_parts_mut(start, len) }
}

/// # Safety
/// See [`slice`].
unsafe fn info_of(info: *const u8, len: usize) -> Result<CryptoInfo, CRefusal> {
    // SAFETY: guaranteed by the caller.
    Ok(CryptoInfo::from_bytes(unsafe { slice(info, len) })?)
}

/// Refuses output that shares memory with input, before a reference to either is made.
fn check_apart<T>(
    input: *const T,
    count: usize,
    out: *const u8,
    room: usize,
) -> Result<(), CRefusal> {
    if room > isize::MAX as usize || count > isize::MAX as usize / size_of::<T>() {
        return Err(CRefusal::new(
            Errno::Inval,
            "a length is more than memory has",
        ));
    }
    let input_end = input.wrapping_add(count).cast::<u8>();
    if count > 0 && room > 0 && input.cast() < out.wrapping_add(room) && out < input_end {
        return Err(CRefusal::new(Errno::Inval, "input and output overlap"));
    }
    Ok(())
}
