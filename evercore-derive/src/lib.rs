//! The macros of evercore.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as TokenStream2;
use syn::DeriveInput;

use crate::{
    ast::{Aggregate, Event, Registry, StateEvent},
    attr::{Errors, EventOptions, StateEventOptions},
};

mod ast;
mod attr;
mod check;
mod expand;
mod fallback;
mod path;
#[cfg(test)]
mod tests;

/// Derives `Aggregate`.
#[proc_macro_derive(Aggregate, attributes(aggregate))]
pub fn aggregate(input: TokenStream) -> TokenStream {
    aggregate_inner(input.into()).into()
}

/// Makes an event.
#[proc_macro_attribute]
pub fn event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    event_inner(arguments.into(), item.into()).into()
}

/// Makes a state event.
#[proc_macro_attribute]
pub fn state_event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    state_event_inner(arguments.into(), item.into()).into()
}

/// Makes a registry.
#[proc_macro]
pub fn registry(input: TokenStream) -> TokenStream {
    registry_inner(input.into()).into()
}

fn aggregate_inner(input: TokenStream2) -> TokenStream2 {
    let mut errors = Errors::default();
    let Some(item) = errors.take(syn::parse2::<DeriveInput>(input)) else { return errors.into_tokens() };
    let aggregate = Aggregate::new(&item, &mut errors);
    check::aggregate(&aggregate, &mut errors);
    if errors.is_empty() { expand::aggregate(&aggregate) } else { fallback::aggregate(aggregate, errors) }
}

fn event_inner(arguments: TokenStream2, item: TokenStream2) -> TokenStream2 {
    let mut errors = Errors::default();
    let Some(item) = errors.take(syn::parse2(item.clone())) else {
        return fallback::other_item(item, errors);
    };
    let event = Event::new(item, EventOptions::read(arguments, &mut errors));
    check::event(&event, &mut errors);
    if errors.is_empty() { expand::event(&event) } else { fallback::event(&event, errors) }
}

fn state_event_inner(arguments: TokenStream2, item: TokenStream2) -> TokenStream2 {
    let mut errors = Errors::default();
    let Some(item) = errors.take(syn::parse2(item.clone())) else {
        return fallback::other_item(item, errors);
    };
    let options = StateEventOptions::read(arguments, &mut errors);
    let event = StateEvent::new(item, options, &mut errors);
    check::state_event(&event, &mut errors);
    if errors.is_empty() { expand::state_event(&event) } else { fallback::state_event(&event, errors) }
}

fn registry_inner(input: TokenStream2) -> TokenStream2 {
    let mut errors = Errors::default();
    let Some(registry) = errors.take(syn::parse2::<Registry>(input)) else { return errors.into_tokens() };
    check::registry(&registry, &mut errors);
    if errors.is_empty() { expand::registry(&registry) } else { fallback::registry(registry, errors) }
}
