//! How an event or a snapshot is written: `codec = msgpack`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, Ident};

use crate::path::{Krate, place_of};

/// The codecs as the user writes them, and the constants of `Codec`.
const CODECS: [(&str, &str); 2] = [("json", "JSON"), ("msgpack", "MESSAGE_PACK")];

/// A codec, by its word.
pub(crate) struct Codec {
    word: Ident,
    constant: &'static str,
}

impl ToTokens for Codec {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.word.to_tokens(tokens);
    }
}

impl Codec {
    /// Reads the value of the option.
    pub(crate) fn from_value(value: &Expr) -> syn::Result<Self> {
        let word = match value {
            Expr::Path(path) => path.path.get_ident(),
            _ => None,
        };
        let found = word.and_then(|word| Some((word, CODECS.iter().find(|(name, _)| word == name)?)));
        match found {
            Some((word, (_, constant))) => Ok(Self { word: word.clone(), constant }),
            None => {
                let words = CODECS.map(|(word, _)| format!("`{word}`")).join(" and ");
                let message = format!("there is no such codec: there are {words}, written without quotes");
                Err(syn::Error::new_spanned(value, message))
            }
        }
    }

    /// The constant of the library.
    pub(crate) fn constant(&self, krate: &Krate) -> TokenStream {
        let constant = Ident::new(self.constant, Span::call_site());
        quote!(#krate::Codec::#constant)
    }

    /// Whether the library was built with it, which is known only there. The tokens stand at the word.
    pub(crate) fn check(&self, krate: &Krate) -> TokenStream {
        let span = place_of(&self.word);
        let krate = krate.at(span);
        let constant = Ident::new(self.constant, span);
        quote_spanned!(span=> const _: () = #krate::__private::check_codec(#krate::Codec::#constant);)
    }
}
