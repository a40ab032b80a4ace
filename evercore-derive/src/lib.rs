//! The macros of evercore.

use proc_macro::TokenStream;

/// Derives `Aggregate`.
#[proc_macro_derive(Aggregate, attributes(aggregate))]
pub fn aggregate(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Makes an event.
#[proc_macro_attribute]
pub fn event(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    item
}

/// Makes a state event.
#[proc_macro_attribute]
pub fn state_event(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    item
}

/// Makes a registry.
#[proc_macro]
pub fn registry(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}
