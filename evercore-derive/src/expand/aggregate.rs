//! `#[derive(Aggregate)]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Ident, Index, LitInt, Path};

use super::shape;
use crate::{
    ast::{Aggregate, last_ident, stored_name},
    path::{place_of, place_of_last},
};

pub(crate) fn aggregate(aggregate: &Aggregate<'_>) -> TokenStream {
    let krate = &aggregate.options.naming.krate;
    let state = &aggregate.item.ident;
    let checks = aggregate.events().iter().enumerate().skip(1).map(|(index, event)| {
        let index = Index::from(index);
        let span = place_of_last(event);
        let krate = krate.at(span);
        quote_spanned!(span=> const _: () = #krate::__private::check_event::<#state>(#index);)
    });
    let ignored = aggregate.ignored().iter().enumerate().map(|(index, name)| {
        let index = Index::from(index);
        let span = Span::call_site().located_at(name.span());
        let krate = krate.at(span);
        quote_spanned!(span=> const _: () = #krate::__private::check_ignored::<#state>(#index);)
    });
    let items = aggregate_with(aggregate, &snapshots(aggregate));
    let marker = aggregate.options.snapshot.is_none().then(|| snapshot_marker(aggregate));
    let codec = aggregate.options.snapshot_codec.as_ref().map(|codec| codec.check(krate));
    quote!(#items #marker #(#checks)* #(#ignored)* #codec)
}

/// All but the checks and the snapshots.
pub(crate) fn aggregate_with(aggregate: &Aggregate<'_>, snapshots: &TokenStream) -> TokenStream {
    let enumeration = enumeration(aggregate);
    let implementation = implementation(aggregate, snapshots);
    let events =
        aggregate.events().iter().enumerate().map(|(index, event)| event_of(aggregate, index, event));
    quote!(#enumeration #implementation #(#events)*)
}

pub(crate) fn snapshot_marker(aggregate: &Aggregate<'_>) -> TokenStream {
    let krate = &aggregate.options.naming.krate;
    let state = &aggregate.item.ident;
    quote! {
        #[automatically_derived]
        impl #krate::SnapshotAggregate for #state {}
    }
}

fn enumeration(aggregate: &Aggregate<'_>) -> TokenStream {
    let krate = &aggregate.options.naming.krate;
    let state = &aggregate.item.ident;
    let name = event_enum(aggregate);
    let visibility = &aggregate.item.vis;
    let summary = format!("One of the events of [`{state}`].");
    let events = aggregate.events();
    let variants: Vec<_> = events.iter().filter_map(last_ident).collect();
    let texts: Vec<_> = variants.iter().map(ToString::to_string).collect();
    let summaries = texts.iter().map(|text| format!("`{text}`."));
    let ignores = !aggregate.ignored().is_empty();
    let ignored = ignores.then(|| {
        quote!(
            #[doc = "An event that is passed over."]
            Ignored
        )
    });
    let ignored_shown = ignores.then(|| quote!(Self::Ignored => f.write_str("Ignored"),));
    let ignored_cloned = ignores.then(|| quote!(Self::Ignored => Self::Ignored,));
    // Derives would ask each event for what the trait `Event` asks for already: one mistake, three messages.
    quote! {
        #[doc = #summary]
        #[allow(clippy::enum_variant_names, clippy::large_enum_variant)]
        #visibility enum #name {
            #(#[doc = #summaries] #variants(#events),)*
            #ignored
        }

        #[automatically_derived]
        impl ::core::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    #(Self::#variants(event) => #krate::__private::debug::<#state, _>(#texts, event, f),)*
                    #ignored_shown
                }
            }
        }

        #[automatically_derived]
        impl ::core::clone::Clone for #name {
            fn clone(&self) -> Self {
                match self {
                    #(Self::#variants(event) => #krate::__private::clone::<#state, _>(event),)*
                    #ignored_cloned
                }
            }
        }
    }
}

fn implementation(aggregate: &Aggregate<'_>, snapshots: &TokenStream) -> TokenStream {
    let options = &aggregate.options;
    let krate = &options.naming.krate;
    let state = &aggregate.item.ident;
    let enumeration = event_enum(aggregate);
    let name = stored_name(&options.naming, state);
    let aliases = &options.naming.aliases;
    let events = aggregate.events();
    let variants: Vec<_> = events.iter().map(last_ident).collect();
    let indices = (0..events.len()).map(Index::from);
    let ignored = aggregate.ignored();
    let ignores = !ignored.is_empty();
    let ignored = ignores.then(|| quote!(const IGNORED: &'static [&'static str] = &[#(#ignored),*];));
    let after_last = Index::from(events.len());
    let ignored_decoded =
        ignores.then(|| quote!(#after_last => ::core::result::Result::Ok(#enumeration::Ignored),));
    let ignored_applied = ignores.then(|| quote!(#enumeration::Ignored => {}));
    let change = match &options.validate {
        Some(validate) => {
            let span = place_of_last(&validate.path);
            let krate = krate.at(span);
            quote_spanned!(span=> #krate::__private::change_validated(self, change, #validate))
        }
        None => quote!(change(self); ::core::result::Result::Ok(())),
    };
    quote! {
        #[automatically_derived]
        impl #krate::Aggregate for #state {
            type Event = #enumeration;
            const NAME: &'static str = #name;
            const ALIASES: &'static [&'static str] = &[#(#aliases),*];
            const EVENTS: &'static [#krate::EventType] = &[
                #(#krate::__private::event_type::<#state, #events>()),*
            ];
            #ignored
            const SNAPSHOTS: #krate::Snapshots<Self> = #snapshots;
            fn decode_event(
                index: usize,
                event_type: &str,
                payload: &#krate::Payload,
            ) -> ::core::result::Result<Self::Event, #krate::DecodeError> {
                match index {
                    #(#indices => #krate::__private::decode::<#state, #events>(event_type, payload),)*
                    #ignored_decoded
                    _ => ::core::unreachable!("`index` is a place in `EVENTS`"),
                }
            }
            fn apply_event(&mut self, event: &Self::Event, info: &#krate::EventInfo) {
                match event {
                    #(#enumeration::#variants(event) => #krate::__private::apply(self, event, info),)*
                    #ignored_applied
                }
            }
            fn change(
                &mut self,
                change: impl ::core::ops::FnOnce(&mut Self),
            ) -> ::core::result::Result<(), #krate::ValidationError> {
                #change
            }
        }
    }
}

fn event_of(aggregate: &Aggregate<'_>, index: usize, event: &Path) -> TokenStream {
    let krate = &aggregate.options.naming.krate;
    let state = &aggregate.item.ident;
    let enumeration = event_enum(aggregate);
    let variant = last_ident(event);
    let index = Index::from(index);
    let span = place_of_last(event);
    let (krate_there, mut state_there) = (krate.at(span), state.clone());
    state_there.set_span(state.span().located_at(span));
    let apply = quote_spanned! {span=>
        <#state_there as #krate_there::Apply<#event>>::apply_with(state, self, info);
    };
    quote! {
        #[automatically_derived]
        impl #krate::EventOf<#state> for #event {
            const INDEX: usize = #index;
            fn apply_to(&self, state: &mut #state, info: &#krate::EventInfo) {
                #apply
            }
        }
        #[automatically_derived]
        impl ::core::convert::From<#event> for #enumeration {
            fn from(event: #event) -> Self {
                Self::#variant(event)
            }
        }
    }
}

fn snapshots(aggregate: &Aggregate<'_>) -> TokenStream {
    let krate = &aggregate.options.naming.krate;
    let options = &aggregate.options;
    if options.snapshot.is_some() {
        return quote!(#krate::Snapshots::off());
    }
    let every = match &options.snapshot_every {
        Some(every) => LitInt::new(every.base10_digits(), every.span()).into_token_stream(),
        None => quote!(#krate::Snapshots::<Self>::DEFAULT_EVERY),
    };
    let shape = shape::of(aggregate.item, options.snapshot_version.as_ref());
    let codec = options.snapshot_codec.as_ref().map(|codec| {
        let codec = codec.constant(krate);
        quote!(.with_codec(#codec))
    });
    // A state without serde is the fault of the state, so that is where the error stands.
    let span = place_of(&aggregate.item.ident);
    let krate = krate.at(span);
    quote_spanned!(span=> #krate::Snapshots::every(#every, #shape) #codec)
}

pub(crate) fn event_enum(aggregate: &Aggregate<'_>) -> Ident {
    format_ident!("{}Event", aggregate.item.ident)
}
