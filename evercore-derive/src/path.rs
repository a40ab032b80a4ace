//! Where generated code finds the library.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Expr, Path};

use crate::attr;

/// `::evercore`, or what `crate = "…"` says.
#[derive(Default)]
pub(crate) struct Krate(Option<Path>);

impl Krate {
    pub(crate) fn at(path: Path) -> Self {
        Self(Some(path))
    }

    /// Reads the value of `crate = "…"`.
    pub(crate) fn from_value(value: &Expr) -> syn::Result<Self> {
        attr::text(value)?.parse_with(Path::parse_mod_style).map(Self::at)
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
