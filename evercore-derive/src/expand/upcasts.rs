//! The older forms of an event.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Index;

use crate::{
    ast::{Event, Source, Upcast},
    path::place_of_last,
};

/// What stands in `impl Event` of an event that upcasts others.
pub(super) fn decoding(event: &Event) -> Option<TokenStream> {
    if event.upcasts().is_empty() {
        return None;
    }
    let krate = &event.options.naming.krate;
    let decoders = event.upcasts().iter().enumerate().map(|(index, upcast)| {
        let index = Index::from(index);
        let decoder = decoder(event, upcast);
        quote!(::core::option::Option::Some(#index) => #decoder,)
    });
    Some(quote! {
        const ANCESTORS: &'static [#krate::EventType] = #krate::__private::ancestors::<Self>();
        fn decode_stored(
            event_type: &str,
            payload: &#krate::Payload,
        ) -> ::core::result::Result<Self, #krate::DecodeError> {
            match #krate::__private::ancestor_index::<Self>(event_type) {
                #(#decoders)*
                _ => payload.decode(),
            }
        }
    })
}

/// The way from one older form. The tokens stand at it, and so do rustc's errors about it.
fn decoder(event: &Event, upcast: &Upcast) -> TokenStream {
    let span = place(&upcast.source);
    let krate = event.options.naming.krate.at(span);
    match (&upcast.source, &upcast.with) {
        (Source::Type(old), None) => {
            quote_spanned!(span=> #krate::__private::upcast::<#old, Self>(event_type, payload))
        }
        (Source::Type(old), Some(with)) => quote_spanned! {span=>
            #krate::__private::upcast_with::<#old, Self, _>(event_type, payload, #with)
        },
        (Source::Name(_), with) => quote_spanned! {span=>
            #krate::__private::upcast_json::<Self, _>(payload, #with)
        },
    }
}

/// What makes the event an older form of others, and its own older forms such.
pub(super) fn ancestry(event: &Event) -> TokenStream {
    let krate = &event.options.naming.krate;
    let ident = &event.item.ident;
    let upcasts = event.upcasts();
    if upcasts.is_empty() {
        return quote! {
            #[automatically_derived]
            impl #krate::__private::Ancestor for #ident {
                type Line<D: #krate::__private::Depth> = #krate::__private::First;
            }
        };
    }
    let ancestors = upcasts.iter().map(|upcast| match &upcast.source {
        Source::Type(old) => quote!(#krate::__private::ancestor::<D, #old, #ident>()),
        Source::Name(name) => quote!(#krate::__private::ancestor_named::<#ident>(#name)),
    });
    let older = upcasts.iter().filter_map(|upcast| match &upcast.source {
        Source::Type(old) => {
            let span = place_of_last(old);
            let krate = krate.at(span);
            Some(quote_spanned!(span=> impl #krate::__private::AncestorOf<#ident> for #old {}))
        }
        Source::Name(_) => None,
    });
    let checks = upcasts.iter().enumerate().map(|(index, upcast)| {
        let index = Index::from(index);
        let span = place(&upcast.source);
        let krate = krate.at(span);
        quote_spanned!(span=> const _: () = #krate::__private::check_upcast::<#ident>(#index);)
    });
    quote! {
        #[automatically_derived]
        impl #krate::__private::Ancestor for #ident {
            type Line<D: #krate::__private::Depth> = #krate::__private::Left<D>;
        }
        #[automatically_derived]
        impl<D: #krate::__private::Depth> #krate::__private::Line<#ident> for #krate::__private::Left<D> {
            const ANCESTORS: &'static [#krate::EventType] = &[#(#ancestors),*];
        }
        #(#older)*
        #(#checks)*
    }
}

fn place(source: &Source) -> Span {
    match source {
        Source::Type(path) => place_of_last(path),
        Source::Name(name) => Span::call_site().located_at(name.span()),
    }
}
