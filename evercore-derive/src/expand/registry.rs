//! `registry!`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Index, Path};

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
    // What can fail has its place at the part, and so have the errors.
    let at_part = |tokens: fn(&Path, &TokenStream, Span) -> TokenStream| {
        parts.iter().map(move |part| {
            let span = place_of_last(part);
            tokens(part, &krate.at(span), span)
        })
    };
    let events = at_part(|part, krate, span| quote_spanned!(span=> <#part as #krate::Registry>::Event));
    let types = at_part(|part, krate, span| quote_spanned!(span=> <#part as #krate::Registry>::TYPES));
    let decoders =
        at_part(|part, krate, span| quote_spanned!(span=> #krate::__private::decode_part::<#part, _>));
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
            #(#[doc = #summaries] #variants(#events)),*
        }

        #[automatically_derived]
        impl #krate::Registry for #name {
            type Event = #enumeration;
            const TYPES: #krate::RegisteredTypes =
                #krate::RegisteredTypes::Registry(&[#(#types),*]);
            fn decode(
                event: &#krate::RecordedEvent,
            ) -> #krate::Result<::core::option::Option<Self::Event>> {
                #krate::__private::decode_first(event, &[
                    #(|event| #decoders(event, #enumeration::#variants)),*
                ])
            }
        }
    }
}
