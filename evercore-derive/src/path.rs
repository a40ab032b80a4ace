//! Where generated code finds the library.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Expr, Path};

use crate::{ast::last_ident, attr};

/// The place of this name, with the scope of the macro: the name may come out of a `macro_rules!`, whose scope
/// does not know the `self` of a generated method.
pub(crate) fn place_of(name: &Ident) -> Span {
    Span::call_site().located_at(name.span())
}

/// The place of the last name of a path: rustc underlines the first token of a span of several.
pub(crate) fn place_of_last(path: &Path) -> Span {
    last_ident(path).map_or_else(Span::call_site, place_of)
}

/// `::evercore`, or what `crate = "…"` says.
#[derive(Default)]
pub(crate) struct Krate(Option<Path>);

impl Krate {
    pub(crate) fn named(path: Path) -> Self {
        Self(Some(path))
    }

    /// Reads the value of `crate = "…"`.
    pub(crate) fn from_value(value: &Expr) -> syn::Result<Self> {
        attr::text(value)?.parse_with(Path::parse_mod_style).map(Self::named)
    }

    /// The path, with its place at this span: where all tokens of an expression stand, rustc's errors stand.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        let moved = |mut token: TokenTree| {
            token.set_span(token.span().located_at(span));
            token
        };
        self.to_token_stream().into_iter().map(moved).collect()
    }

    /// The path of the re-exported serde, as `#[serde(crate = "…")]` wants it.
    pub(crate) fn serde(&self) -> String {
        let path = self.to_token_stream().to_string().replace(' ', "");
        format!("{path}::__private::serde")
    }
}

impl ToTokens for Krate {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match &self.0 {
            Some(path) => path.to_tokens(tokens),
            None => tokens.extend(quote!(::evercore)),
        }
    }
}
