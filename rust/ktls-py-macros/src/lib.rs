//! `#[from_stub]`: docstrings and signatures of the compiled module, taken from its stub.
//!
//! `python/ktls_fast/_core.pyi` is the one place where the documentation and the parameter lists of
//! the compiled module are written. [`macro@from_stub`] reads it at compile time, so that `help()`
//! and `inspect.signature` show at run time what editors and type checkers read in the stub.

mod expand;
mod stub;

use proc_macro::TokenStream;
use quote::quote;

/// Adds docstrings and signatures from `_core.pyi` to what PyO3 exports.
///
/// It stands above `#[pyclass]`, `#[pyfunction]`, `#[pymodule]`, or, with the name of the class as
/// its argument, above `#[pymethods]`: `#[from_stub(Sealer)]`. Names that the stub does not have
/// are a compile error, except for methods such as `__repr__`.
#[proc_macro_attribute]
pub fn from_stub(argument: TokenStream, item: TokenStream) -> TokenStream {
    let expanded =
        expand::read_stub().and_then(|stub| expand::with_stub(&stub, argument.into(), item.into()));
    expanded
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// `stub_named_tuple!(TlsInfo)`: the arguments of `NamedTuple::new` for a named tuple of the stub.
///
/// They are its name, its docstring, and a slice with the name and the docstring of each field.
#[proc_macro]
pub fn stub_named_tuple(name: TokenStream) -> TokenStream {
    let expanded = expand::read_stub().and_then(|stub| expand::named_tuple(&stub, name.into()));
    expanded
        .unwrap_or_else(|error| {
            let error = error.to_compile_error();
            quote!({ #error })
        })
        .into()
}
