//! `#[state_event(State)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Path;

use crate::{
    ast::{StateEvent, StateField},
    path::place_of,
};

pub(crate) fn state_event(event: &StateEvent) -> TokenStream {
    let krate = &event.event.options.naming.krate;
    let ident = &event.event.item.ident;
    let base = super::event(&event.event);
    let Some(state) = &event.state else { return base };
    let assignments: Vec<_> =
        event.fields.iter().filter(|field| field.options.skip.is_none()).map(assignment).collect();
    let apply = apply(event, state, &assignments);
    let check = quote_spanned! {place_of(ident)=>
        const _: () = #krate::__private::check_listed::<#state, #ident>();
    };
    quote!(#base #apply #check)
}

/// The implementation of `Apply`, with these statements.
pub(crate) fn apply(event: &StateEvent, state: &Path, assignments: &[TokenStream]) -> TokenStream {
    let krate = &event.event.options.naming.krate;
    let ident = &event.event.item.ident;
    let argument = if assignments.is_empty() { quote!(_event) } else { quote!(event) };
    quote! {
        #[automatically_derived]
        impl #krate::Apply<#ident> for #state {
            fn apply(&mut self, #argument: &#ident) {
                #(#assignments)*
            }
        }
    }
}

/// Brings one field into the state. The tokens stand at the field, and so do rustc's errors about it.
fn assignment(field: &StateField) -> TokenStream {
    let StateField { name, options, conditions, .. } = field;
    let target = options.rename.as_ref().unwrap_or(name);
    let span = place_of(name);
    let assignment = if field.is_option() && options.assign.is_none() {
        quote_spanned! {span=>
            if let ::core::option::Option::Some(value) = &event.#name {
                self.#target = ::core::convert::From::from(::core::clone::Clone::clone(value));
            }
        }
    } else {
        quote_spanned! {span=>
            self.#target = ::core::convert::From::from(::core::clone::Clone::clone(&event.#name));
        }
    };
    if conditions.is_empty() { assignment } else { quote!(#(#conditions)* { #assignment }) }
}
