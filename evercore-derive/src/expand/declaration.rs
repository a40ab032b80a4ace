//! The declaration of an event as data, for comparing it with what it was before.

use std::fmt::Write as _;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{
    Attribute, Data, DeriveInput, Fields, LitStr, Token, Type, ext::IdentExt as _, meta::ParseNestedMeta,
};

use super::case::Case;
use crate::ast::is_option;

/// The JSON form of `evercore::Shape`.
pub(crate) fn json(item: &DeriveInput) -> String {
    let container = Serde::read(&item.attrs);
    let shape = match &item.data {
        Data::Struct(data) => fields(&data.fields, &container),
        // It is refused elsewhere.
        Data::Enum(_) | Data::Union(_) => quoted("unknown"),
    };
    let about = Serde { optional: false, ..container };
    format!("{{{}\"shape\":{shape}}}", about.json())
}

fn fields(fields: &Fields, container: &Serde) -> String {
    match fields {
        Fields::Unit => quoted("unit"),
        Fields::Unnamed(fields) => {
            let values = fields.unnamed.iter().map(|field| {
                let mut serde = Serde::read(&field.attrs);
                // The values after it move.
                serde.attributes.extend(serde.is_skipped.then(|| "skip".to_owned()));
                serde.value(&field.ty, false)
            });
            format!("{{\"values\":[{}]}}", list(values))
        }
        Fields::Named(fields) => {
            let fields = fields.named.iter().filter_map(|field| {
                let serde = Serde::read(&field.attrs);
                let name = field.ident.as_ref()?.unraw().to_string();
                let name = serde.name(name, container.case);
                let value = serde.value(&field.ty, container.optional);
                (!serde.is_skipped).then(|| format!("{}:{value}", quoted(&name)))
            });
            format!("{{\"fields\":{{{}}}}}", list(fields))
        }
    }
}

/// What the serde attributes of something say.
#[derive(Default)]
struct Serde {
    rename: Option<String>,
    aliases: Vec<String>,
    case: Option<Case>,
    /// It may be missing.
    optional: bool,
    is_skipped: bool,
    /// What else they say about how it is stored, as it is written.
    attributes: Vec<String>,
}

impl Serde {
    fn read(attributes: &[Attribute]) -> Self {
        let mut serde = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("serde") {
                // What cannot be read is left to serde, which tells the user.
                let _ = attribute.parse_nested_meta(|meta| serde.add(&meta));
            } else if attribute.path().is_ident("cfg") {
                serde.attributes.push(text(attribute.meta.to_token_stream()));
            }
        }
        serde
    }

    fn add(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let name = meta.path.to_token_stream().to_string();
        let is_text = meta.input.peek(Token![=]) && meta.input.peek2(LitStr);
        match name.as_str() {
            "rename" if is_text => self.rename = Some(meta.value()?.parse::<LitStr>()?.value()),
            "alias" if is_text => self.aliases.push(meta.value()?.parse::<LitStr>()?.value()),
            "rename_all" if is_text => {
                let case = meta.value()?.parse::<LitStr>()?;
                match Case::new(&case.value()) {
                    Some(case) => self.case = Some(case),
                    None => self.attributes.push(format!("rename_all={}", case.to_token_stream())),
                }
            }
            "default" => {
                self.optional = true;
                rest_of(meta)?;
            }
            "skip" => self.is_skipped = true,
            // They say nothing about how it is stored, or nothing that matters to who reads it.
            "bound" | "borrow" | "crate" | "expecting" | "remote" | "skip_serializing_if" => {
                rest_of(meta)?;
            }
            _ => self.attributes.push(format!("{name}{}", text(rest_of(meta)?))),
        }
        Ok(())
    }

    /// The name under which a field is stored, by what is said about it and about the whole.
    fn name(&self, name: String, case: Option<Case>) -> String {
        match (&self.rename, case) {
            (Some(rename), _) => rename.clone(),
            (None, Some(case)) => case.of_field(&name),
            (None, None) => name,
        }
    }

    /// The type of a field, and what is said about it.
    fn value(&self, ty: &Type, is_optional: bool) -> String {
        // A function of the user's decides what a missing value is.
        let is_read_by_function = self.attributes.iter().any(|attribute| attribute.contains("with"));
        let optional = self.optional || is_optional || is_option(ty) && !is_read_by_function;
        let about = Self {
            optional,
            aliases: self.aliases.clone(),
            attributes: self.attributes.clone(),
            ..Self::default()
        };
        format!("{{{}\"type\":{}}}", about.json(), quoted(&text(ty.to_token_stream())))
    }

    /// All but the name, each with a comma behind it.
    fn json(&self) -> String {
        let mut json = String::new();
        for (name, texts) in [("aliases", &self.aliases), ("serde", &self.attributes)] {
            if !texts.is_empty() {
                let _ = write!(json, "\"{name}\":[{}],", list(texts.iter().map(|text| quoted(text))));
            }
        }
        if self.optional {
            json.push_str("\"optional\":true,");
        }
        json
    }
}

/// What stands behind the name of an option.
fn rest_of(meta: &ParseNestedMeta<'_>) -> syn::Result<TokenStream> {
    let mut rest = TokenStream::new();
    while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        rest.extend([meta.input.parse::<TokenTree>()?]);
    }
    Ok(rest)
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if character.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted + "\""
}

/// Tokens as one would write them. The compiler's own way may change from one version to the next.
fn text(tokens: TokenStream) -> String {
    let mut text = String::new();
    write(tokens, &mut text);
    text
}

fn write(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(sign) => {
                text.push(sign.as_char());
                if matches!(sign.as_char(), ',' | ';') {
                    text.push(' ');
                }
            }
            word => {
                let is_after_word = text.ends_with(|last: char| last.is_alphanumeric() || last == '_');
                if is_after_word {
                    text.push(' ');
                }
                text.push_str(&word.to_string());
            }
        }
    }
}
