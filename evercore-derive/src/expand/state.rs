//! `#[state_event(State)]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Ident, Path};

use crate::{
    ast::{Event, StateEvent, StateField},
    attr::Way,
    path::{Krate, place_of, place_of_last},
};

pub(crate) fn state_event(event: &StateEvent) -> TokenStream {
    let krate = &event.event.options.naming.krate;
    let ident = &event.event.item.ident;
    let base = super::event(&event.event);
    let effects: Vec<_> = event
        .fields
        .iter()
        .filter(|field| field.options.skip.is_none())
        .map(|field| conditional_effect(field, krate))
        .collect();
    let states = event.states.iter().map(|state| {
        let apply = apply(&event.event, state, &effects);
        let check = quote_spanned! {place_of(ident)=>
            const _: () = #krate::__private::check_listed::<#state, #ident>();
        };
        quote!(#apply #check)
    });
    quote!(#base #(#states)*)
}

/// The implementation of `Apply`, with these statements.
pub(crate) fn apply(event: &Event, state: &Path, effects: &[TokenStream]) -> TokenStream {
    let krate = &event.options.naming.krate;
    let ident = &event.item.ident;
    let argument = if effects.is_empty() { "_event" } else { "event" };
    let argument = Ident::new(argument, Span::mixed_site());
    let this = quote_spanned!(Span::mixed_site()=> self);
    quote! {
        #[automatically_derived]
        impl #krate::Apply<#ident> for #state {
            fn apply(&mut #this, #argument: &#ident) {
                #(#effects)*
            }
        }
    }
}

fn conditional_effect(field: &StateField, krate: &Krate) -> TokenStream {
    let conditions = &field.conditions;
    let effect = effect(field, krate);
    if conditions.is_empty() { effect } else { quote!(#(#conditions)* { #effect }) }
}

/// Brings one field into the state. The tokens stand at the field, and so do rustc's errors about it; the names of
/// variables are ours alone, because functions of the user are called among them.
fn effect(field: &StateField, krate: &Krate) -> TokenStream {
    let name = &field.name;
    let target = field.target();
    let span = Span::mixed_site().located_at(name.span());
    let at_field = krate.at(span);
    let is_option = field.is_option() && !matches!(field.options.way, Some(Way::Assign));
    let value = if is_option { quote_spanned!(span=> value) } else { quote_spanned!(span=> &event.#name) };
    let effect = match &field.options.way {
        None | Some(Way::Assign) => quote_spanned! {span=>
            self.#target = ::core::convert::From::from(::core::clone::Clone::clone(#value));
        },
        Some(Way::Push) => quote_spanned!(span=> #at_field::__private::push(#value, &mut self.#target);),
        Some(Way::Extend) => quote_spanned!(span=> #at_field::__private::extend(#value, &mut self.#target);),
        Some(Way::With(with)) => {
            let place = Span::mixed_site().located_at(place_of_last(&with.path));
            let krate = krate.at(place);
            let call = quote_spanned!(place=> #krate::__private::done(#with(state, value)););
            quote_spanned!(span=> let (state, value) = (&mut self.#target, #value); #call)
        }
    };
    if is_option {
        quote_spanned!(span=> if let ::core::option::Option::Some(value) = &event.#name { #effect })
    } else {
        effect
    }
}
