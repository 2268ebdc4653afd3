//! Adds attributes with the documentation and the signature of the stub.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Error, Expr, FnArg, Ident, ImplItem, ImplItemFn, Item, ItemImpl, Pat, Result,
    Signature, parse_quote, parse_str, parse2,
};

use crate::stub::{Parameter, Receiver, Stub, StubItem};

/// Where the stub is, seen from the crate that is compiled.
const STUB: &str = "../../python/ktls_fast/_core.pyi";

pub(crate) fn read_stub() -> Result<Stub> {
    let crate_folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let path = std::path::Path::new(&crate_folder).join(STUB);
    let text = std::fs::read_to_string(&path);
    text.map(|text| Stub::parse(&text)).map_err(|error| {
        let text = format!("cannot read the stub {}: {error}", path.display());
        Error::new(Span::call_site(), text)
    })
}

/// Returns the item with what the stub has for it.
pub(crate) fn with_stub(stub: &Stub, class: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut item = parse2(item)?;
    match &mut item {
        Item::Struct(class) => {
            check_undocumented(&class.attrs)?;
            let name = renamed(&class.attrs).unwrap_or_else(|| class.ident.to_string());
            class
                .attrs
                .insert(0, doc(&class_doc(stub, &name, &class.ident)?));
        }
        Item::Impl(methods) => document_methods(stub, &parse2(class)?, methods)?,
        Item::Fn(function) => document_function(stub, &mut function.attrs, &function.sig)?,
        other => {
            return Err(Error::new_spanned(
                other,
                "the stub has nothing for this item",
            ));
        }
    }
    Ok(item.into_token_stream())
}

/// The name, the docstring, and the fields of a named tuple.
pub(crate) fn named_tuple(stub: &Stub, name: TokenStream) -> Result<TokenStream> {
    let name: Ident = parse2(name)?;
    let tuple = find(stub, &name.to_string(), &name)?;
    let (text, doc) = (name.to_string(), &tuple.doc);
    let fields = tuple.fields.iter().map(|field| {
        let doc = &find(stub, &format!("{name}.{field}"), &name)?.doc;
        Ok(quote!((#field, #doc)))
    });
    let fields = fields.collect::<Result<Vec<_>>>()?;
    Ok(quote!((#text, #doc, &[#(#fields),*])))
}

/// The documentation of a class, followed by that of its constructor, which Python shows with it.
fn class_doc(stub: &Stub, name: &str, at: &Ident) -> Result<String> {
    let class = find(stub, name, at)?.doc.clone();
    match stub.get(&format!("{name}.__new__")) {
        Some(new) if !new.doc.is_empty() => Ok(format!("{class}\n\n{}", new.doc)),
        _ => Ok(class),
    }
}

fn document_methods(stub: &Stub, class: &Ident, methods: &mut ItemImpl) -> Result<()> {
    for item in &mut methods.items {
        if let ImplItem::Fn(method) = item {
            document_method(stub, class, method)?;
        }
    }
    Ok(())
}

fn document_method(stub: &Stub, class: &Ident, method: &mut ImplItemFn) -> Result<()> {
    check_undocumented(&method.attrs)?;
    let rust_name = method.sig.ident.to_string();
    let is_new = has(&method.attrs, "new");
    let name = if is_new {
        "__new__".to_owned()
    } else {
        renamed(&method.attrs).unwrap_or(rust_name)
    };
    let is_special = name.starts_with("__") && name != "__exit__" && !is_new;
    let Some(item) = stub.get(&format!("{class}.{name}")) else {
        let text = format!("the stub has no {class}.{name}");
        return if is_special {
            Ok(())
        } else {
            Err(Error::new_spanned(&method.sig.ident, text))
        };
    };
    if !is_new && !is_special {
        method.attrs.insert(0, doc(&item.doc));
    }
    if !is_special && !has(&method.attrs, "getter") {
        method.attrs.push(signature(item, &method.sig)?);
    }
    Ok(())
}

fn document_function(stub: &Stub, attrs: &mut Vec<Attribute>, function: &Signature) -> Result<()> {
    check_undocumented(attrs)?;
    if has(attrs, "pymodule") {
        attrs.insert(0, doc(&find(stub, "", &function.ident)?.doc));
        return Ok(());
    }
    let name = renamed(attrs).unwrap_or_else(|| function.ident.to_string());
    let item = find(stub, &name, &function.ident)?;
    attrs.insert(0, doc(&item.doc));
    attrs.push(signature(item, function)?);
    Ok(())
}

/// Refuses an item with a doc comment, which PyO3 would add to the docstring of the stub.
fn check_undocumented(attrs: &[Attribute]) -> Result<()> {
    let comment = attrs.iter().find(|attr| attr.path().is_ident("doc"));
    comment.map_or(Ok(()), |comment| {
        let text = "the documentation of this item is written in the stub: use a plain comment";
        Err(Error::new_spanned(comment, text))
    })
}

fn find<'a>(stub: &'a Stub, name: &str, at: &Ident) -> Result<&'a StubItem> {
    let missing = || Error::new_spanned(at, format!("the stub has no {name}"));
    stub.get(name).ok_or_else(missing)
}

fn doc(text: &str) -> Attribute {
    parse_quote!(#[doc = #text])
}

/// `#[pyo3(signature = …, text_signature = …)]`: the first for PyO3, the second for `inspect`.
fn signature(item: &StubItem, function: &Signature) -> Result<Attribute> {
    let arguments: Vec<String> = function.inputs.iter().filter_map(argument_name).collect();
    let parameters = item
        .parameters
        .iter()
        .map(|parameter| rust_parameter(parameter, &arguments));
    let parameters = parameters.collect::<Result<Vec<_>>>()?;
    let text = text_signature(item);
    Ok(parse_quote!(#[pyo3(signature = (#(#parameters),*), text_signature = #text)]))
}

/// A parameter as PyO3 has it. A Rust argument that is not used may begin with an underscore.
fn rust_parameter(parameter: &Parameter, arguments: &[String]) -> Result<TokenStream> {
    let name = &parameter.name;
    if let "*" | "/" = name.as_str() {
        return parse_str(name);
    }
    let unused = format!("_{name}");
    let name = if arguments.contains(&unused) {
        &unused
    } else {
        name
    };
    let name: Ident = parse_str(name)?;
    match &parameter.default {
        None => Ok(quote!(#name)),
        Some(default) => {
            let default = rust_value(default)?;
            Ok(quote!(#name = #default))
        }
    }
}

/// A Python literal as an expression of Rust; `()` is the default of any type.
fn rust_value(text: &str) -> Result<Expr> {
    match text {
        "True" => parse_str("true"),
        "False" => parse_str("false"),
        "()" => parse_str("Default::default()"),
        other => parse_str(other),
    }
}

fn text_signature(item: &StubItem) -> String {
    // A constructor's signature is that of its class, which has no receiver.
    let receiver = (item.receiver == Some(Receiver::Instance)).then(|| "$self".to_owned());
    let parameters = item
        .parameters
        .iter()
        .map(|parameter| match &parameter.default {
            Some(default) => format!("{}={default}", parameter.name),
            None => parameter.name.clone(),
        });
    let list: Vec<String> = receiver.into_iter().chain(parameters).collect();
    format!("({})", list.join(", "))
}

fn argument_name(argument: &FnArg) -> Option<String> {
    match argument {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(pattern) => Some(pattern.ident.to_string()),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    }
}

fn has(attrs: &[Attribute], name: &str) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident(name))
}

/// The name of an item in Python, if an attribute of PyO3 gives it one.
fn renamed(attrs: &[Attribute]) -> Option<String> {
    let mut name = None;
    for attr in attrs {
        if attr.path().is_ident("getter") {
            return attr.parse_args::<Ident>().ok().map(|name| name.to_string());
        }
        if ["pyo3", "pyclass", "pyfunction", "pymodule"]
            .iter()
            .any(|known| attr.path().is_ident(known))
        {
            // Arguments of other forms are PyO3's to judge.
            let _others = attr.parse_nested_meta(|meta| {
                if let Ok(value) = meta.value() {
                    let value: Expr = value.parse()?;
                    if let (true, Expr::Lit(literal)) = (meta.path.is_ident("name"), value)
                        && let syn::Lit::Str(text) = literal.lit
                    {
                        name = Some(text.value());
                    }
                }
                Ok(())
            });
        }
    }
    name
}
