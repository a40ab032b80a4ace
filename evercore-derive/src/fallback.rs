//! What is emitted beside errors, so that one mistake gives one message: the impls that the rest of the
//! program counts on, without anything in them that could fail again.

use std::mem;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Data, DeriveInput, Path};

use crate::{
    ast::{Aggregate, Event, Registry, StateEvent, last_ident},
    attr::{Errors, StateEventOptions},
    expand,
};

pub(crate) fn aggregate(mut aggregate: Aggregate<'_>, errors: Errors) -> TokenStream {
    let mut tokens = errors.into_tokens();
    if is_generic(aggregate.item) {
        return tokens;
    }
    if aggregate.events().is_empty() {
        tokens.extend(without_events(&aggregate));
        return tokens;
    }
    aggregate.options.validate = None;
    aggregate.options.ignores = None;
    aggregate.options.events = aggregate.options.events.map(without_doubles);
    let krate = &aggregate.options.naming.krate;
    tokens.extend(expand::aggregate_with(&aggregate, &quote!(#krate::Snapshots::off())));
    tokens.extend(expand::snapshot_marker(&aggregate));
    tokens
}

pub(crate) fn event(event: &mut Event, errors: Errors) -> TokenStream {
    event_of(event, Vec::new(), errors)
}

pub(crate) fn state_event(event: &mut StateEvent, errors: Errors) -> TokenStream {
    event_of(&mut event.event, mem::take(&mut event.states), errors)
}

/// An event that leaves these states alone, and those of further attributes that make it an event.
fn event_of(event: &mut Event, mut states: Vec<Path>, errors: Errors) -> TokenStream {
    event.options.upcasts = None;
    let mut tokens = errors.into_tokens();
    if is_generic(&event.item) || matches!(event.item.data, Data::Union(_)) {
        event.item.to_tokens(&mut tokens);
    } else {
        tokens.extend(expand::event(event));
    }
    if !is_generic(&event.item) {
        states.extend(event.doubles.iter().flat_map(StateEventOptions::states_of));
        let is_new = |index: usize| !states[..index].contains(&states[index]);
        let states = (0..states.len()).filter(|&index| is_new(index)).map(|index| &states[index]);
        tokens.extend(states.map(|state| expand::apply(event, state, &[])));
    }
    tokens
}

pub(crate) fn registry(mut registry: Registry, errors: Errors) -> TokenStream {
    let mut tokens = errors.into_tokens();
    registry.parts = without_doubles(registry.parts);
    tokens.extend(expand::registry_types(&registry));
    tokens
}

/// An item that no attribute of ours can stand on.
pub(crate) fn other_item(item: TokenStream, errors: Errors) -> TokenStream {
    let mut tokens = errors.into_tokens();
    tokens.extend(item);
    tokens
}

fn without_events(aggregate: &Aggregate<'_>) -> TokenStream {
    let krate = &aggregate.options.naming.krate;
    let (state, visibility) = (&aggregate.item.ident, &aggregate.item.vis);
    let name = expand::event_enum(aggregate);
    let marker = expand::snapshot_marker(aggregate);
    quote! {
        #[derive(::core::fmt::Debug, ::core::clone::Clone)]
        #visibility enum #name {}

        impl #krate::Aggregate for #state {
            type Event = #name;
            const NAME: &'static str = "";
            const ALIASES: &'static [&'static str] = &[];
            const EVENTS: &'static [#krate::EventType] = &[];
            const SNAPSHOTS: #krate::Snapshots<Self> = #krate::Snapshots::off();
            fn decode_event(
                _: usize,
                _: &str,
                _: &#krate::Payload,
            ) -> ::core::result::Result<Self::Event, #krate::DecodeError> {
                ::core::unreachable!()
            }
            fn apply_event(&mut self, _: &Self::Event, _: &#krate::EventInfo) {}
            fn change(
                &mut self,
                _: impl ::core::ops::FnOnce(&mut Self),
            ) -> ::core::result::Result<(), #krate::ValidationError> {
                ::core::result::Result::Ok(())
            }
        }

        #marker
    }
}

fn is_generic(item: &DeriveInput) -> bool {
    !item.generics.params.is_empty()
}

/// The paths whose last name is new.
fn without_doubles(paths: Vec<Path>) -> Vec<Path> {
    let mut kept: Vec<Path> = Vec::new();
    for path in paths {
        if !kept.iter().any(|earlier| last_ident(earlier) == last_ident(&path)) {
            kept.push(path);
        }
    }
    kept
}
