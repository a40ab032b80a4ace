//! `#[event]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Path, Token, ext::IdentExt, punctuated::Punctuated};

use super::{declaration, upcasts};
use crate::ast::{Event, last_ident, stored_name};

pub(crate) fn event(event: &Event) -> TokenStream {
    let Event { item, options, .. } = event;
    let krate = &options.naming.krate;
    let ident = &item.ident;
    let name = stored_name(&options.naming, ident);
    let origin = format!("::{} ", ident.unraw());
    let derives = derives(event);
    let aliases = options.naming.aliases.as_slice();
    let aliases =
        (!aliases.is_empty()).then(|| quote!(const ALIASES: &'static [&'static str] = &[#(#aliases),*];));
    let declaration = declaration(event);
    let codec = options.codec.as_ref().map(|codec| {
        let constant = codec.constant(krate);
        quote!(const CODEC: #krate::Codec = #constant;)
    });
    let codec_check = options.codec.as_ref().map(|codec| codec.check(krate));
    let decoding = upcasts::decoding(event);
    let ancestry = upcasts::ancestry(event);
    quote! {
        #derives
        #item
        #[automatically_derived]
        impl #krate::Event for #ident {
            const NAME: &'static str = #name;
            #aliases
            #codec
            const ORIGIN: &'static str = ::core::concat!(
                ::core::module_path!(), #origin, ::core::file!(), ":", ::core::line!(), ":", ::core::column!(),
            );
            #declaration
            #decoding
        }
        #ancestry
        #codec_check
    }
}

/// Of a declaration that serde's derives see too.
fn declaration(event: &Event) -> Option<TokenStream> {
    let given = given_derives(&event.item);
    let is_derived = ["Serialize", "Deserialize"].iter().all(|name| given.iter().any(|given| given == name));
    let json = (event.options.derive.is_none() || is_derived).then(|| declaration::json(&event.item))?;
    Some(quote!(const DECLARATION: &'static str = #json;))
}

/// What an event needs and no derive below the attribute names.
fn derives(event: &Event) -> TokenStream {
    if event.options.derive.is_some() {
        return TokenStream::new();
    }
    let krate = &event.options.naming.krate;
    let given = given_derives(&event.item);
    let missing = |name: &str| !given.iter().any(|given| given == name);
    let plain = [("Debug", quote!(::core::fmt::Debug)), ("Clone", quote!(::core::clone::Clone))];
    let serde = [
        ("Serialize", quote!(#krate::__private::serde::Serialize)),
        ("Deserialize", quote!(#krate::__private::serde::Deserialize)),
    ];
    let serde: Vec<_> = serde.into_iter().filter(|(name, _)| missing(name)).map(|(_, path)| path).collect();
    let plain = plain.into_iter().filter(|(name, _)| missing(name)).map(|(_, path)| path);
    let paths: Vec<_> = plain.chain(serde.iter().cloned()).collect();
    let derive = (!paths.is_empty()).then(|| quote!(#[derive(#(#paths),*)]));
    // The user need not depend on serde for the derives that are ours.
    let serde_crate = (!serde.is_empty() && !names_serde_crate(&event.item)).then(|| {
        let path = krate.serde();
        quote!(#[serde(crate = #path)])
    });
    quote!(#derive #serde_crate)
}

/// The last names of the paths in all `#[derive(…)]`. What cannot be read is left to rustc.
fn given_derives(item: &DeriveInput) -> Vec<String> {
    item.attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
        .filter_map(|attribute| {
            attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok()
        })
        .flatten()
        .filter_map(|path| last_ident(&path).map(ToString::to_string))
        .collect()
}

fn names_serde_crate(item: &DeriveInput) -> bool {
    item.attrs.iter().filter(|attribute| attribute.path().is_ident("serde")).any(|attribute| {
        attribute
            .parse_args_with(Punctuated::<syn::Meta, Token![,]>::parse_terminated)
            .is_ok_and(|options| options.iter().any(|option| option.path().is_ident("crate")))
    })
}
