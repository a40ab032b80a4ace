//! `registry!`.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Index;

use crate::{
    ast::{Registry, last_ident},
    path::place_of_last,
};

pub(crate) fn registry(registry: &Registry) -> TokenStream {
    let Registry { krate, name, parts, .. } = registry;
    let types = registry_types(registry);
    let checks = parts.iter().enumerate().skip(1).map(|(index, part)| {
        let index = Index::from(index);
        let span = place_of_last(part);
        let krate = krate.at(span);
        quote_spanned!(span=> const _: () = #krate::__private::check_part::<#name>(#index);)
    });
    quote!(#types #(#checks)*)
}

/// All but the checks.
pub(crate) fn registry_types(registry: &Registry) -> TokenStream {
    let Registry { krate, attributes, visibility, name, parts, .. } = registry;
    let enumeration = format_ident!("{name}Event");
    let registries: Vec<_> = parts
        .iter()
        .map(|part| {
            let span = place_of_last(part);
            let krate = krate.at(span);
            quote_spanned!(span=> <#part as #krate::Registry>)
        })
        .collect();
    let variants: Vec<_> = parts.iter().map(last_ident).collect();
    let summaries = variants.iter().map(|variant| format!("An event of `{}`.", variant.into_token_stream()));
    let enum_summary = format!("An event of one of the aggregates of [`{name}`].");
    let documented = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
    let summary = (!documented).then(|| quote!(#[doc = "The aggregates of the application."]));
    quote! {
        #summary
        #(#attributes)*
        #[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::marker::Copy)]
        #visibility struct #name;

        #[doc = #enum_summary]
        #[derive(::core::fmt::Debug)]
        #visibility enum #enumeration {
            #(#[doc = #summaries] #variants(#registries::Event)),*
        }

        #[automatically_derived]
        impl #krate::Registry for #name {
            type Event = #enumeration;
            const TYPES: #krate::RegisteredTypes =
                #krate::RegisteredTypes::Registry(&[#(#registries::TYPES),*]);
            fn decode(
                event: &#krate::RecordedEvent,
            ) -> #krate::Result<::core::option::Option<Self::Event>> {
                #krate::__private::decode_first(event, &[
                    #(|event| #krate::__private::decode_part::<#parts, _>(event, #enumeration::#variants)),*
                ])
            }
        }
    }
}
