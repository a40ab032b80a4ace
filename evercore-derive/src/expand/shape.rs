//! The text whose fingerprint tells whether a stored state still fits its type.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Attribute, Data, DeriveInput, LitInt};

/// Name, fields and serde attributes as they are written, and the version that the user gives.
pub(crate) fn of(item: &DeriveInput, version: Option<&LitInt>) -> String {
    let name = &item.ident;
    let attributes = serde(&item.attrs);
    let fields = match &item.data {
        Data::Struct(data) => data
            .fields
            .iter()
            .map(|field| {
                let (attributes, name, ty) = (serde(&field.attrs), &field.ident, &field.ty);
                quote!(#(#attributes)* #name: #ty)
            })
            .collect(),
        _ => Vec::new(),
    };
    let version = version.map_or("0", LitInt::base10_digits);
    let mut text = String::new();
    write(quote!(#(#attributes)* #name { #(#fields),* }), &mut text);
    format!("{text}version {version}")
}

fn serde(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("serde"))
}

/// Writes each token and a space. The compiler's own way to print tokens may change from one version to the
/// next, and with it every fingerprint.
fn write(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("( ", ") "),
                    Delimiter::Brace => ("{ ", "} "),
                    Delimiter::Bracket => ("[ ", "] "),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
            }
            token => {
                text.push_str(&token.to_token_stream().to_string());
                text.push(' ');
            }
        }
    }
}
