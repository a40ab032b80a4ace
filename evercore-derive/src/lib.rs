//! The macros of evercore: [`macro@Aggregate`], [`macro@event`], [`macro@state_event`] and [`macro@registry`].
//!
//! Use them through the `evercore` crate, which re-exports them. What they generate calls hidden parts of
//! `evercore` of the same version.

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
mod codec;
mod expand;
mod fallback;
mod path;
#[cfg(test)]
mod tests;

/// Makes a plain struct an aggregate: a state that is rebuilt from the listed events.
///
#[doc = include_str!("../docs/aggregate.md")]
#[proc_macro_derive(Aggregate, attributes(aggregate))]
pub fn aggregate(input: TokenStream) -> TokenStream {
    aggregate_inner(input.into()).into()
}

/// Makes a plain struct an event.
///
#[doc = include_str!("../docs/event.md")]
#[proc_macro_attribute]
pub fn event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    event_inner(arguments.into(), item.into()).into()
}

/// Makes a plain struct an event that brings its fields into the state, by name.
///
#[doc = include_str!("../docs/state_event.md")]
#[proc_macro_attribute]
pub fn state_event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    state_event_inner(arguments.into(), item.into()).into()
}

/// Makes the set of all aggregates of an application, which knows their names and decodes their events.
///
#[doc = include_str!("../docs/registry.md")]
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
    let mut event = Event::new(item, EventOptions::read(arguments, &mut errors));
    check::event(&event, &mut errors);
    if errors.is_empty() { expand::event(&event) } else { fallback::event(&mut event, errors) }
}

fn state_event_inner(arguments: TokenStream2, item: TokenStream2) -> TokenStream2 {
    let mut errors = Errors::default();
    let Some(item) = errors.take(syn::parse2(item.clone())) else {
        return fallback::other_item(item, errors);
    };
    let options = StateEventOptions::read(arguments, &mut errors);
    let mut event = StateEvent::new(item, options, &mut errors);
    check::state_event(&event, &mut errors);
    if errors.is_empty() { expand::state_event(&event) } else { fallback::state_event(&mut event, errors) }
}

fn registry_inner(input: TokenStream2) -> TokenStream2 {
    let mut errors = Errors::default();
    let Some(registry) = errors.take(syn::parse2::<Registry>(input)) else { return errors.into_tokens() };
    check::registry(&registry, &mut errors);
    if errors.is_empty() { expand::registry(&registry) } else { fallback::registry(registry, errors) }
}
