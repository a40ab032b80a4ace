//! Attributes into structs: each option is read once, and every mistake is collected.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{
    Attribute, Expr, ExprPath, Ident, Index, Lit, LitInt, LitStr, Member, Meta, Path, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
};

use crate::{
    ast::{self, Upcast},
    codec::Codec,
    path::Krate,
};

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Adds a mistake of which these tokens are guilty.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds the mistake if there is one, else hands out the value.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.as_ref().map(syn::Error::to_compile_error).unwrap_or_default()
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }
}

/// What every macro on a type understands: how it is named in the store, and where the library is.
#[derive(Default)]
pub(crate) struct Naming {
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) krate: Krate,
    has_krate: bool,
}

impl Naming {
    /// Reads the option if it is one of these.
    fn read(&mut self, option: &Meta, errors: &mut Errors) -> bool {
        let path = option.path();
        if path.is_ident("name") {
            set(&mut self.name, option, value(option).and_then(text), errors);
        } else if path.is_ident("alias") {
            self.aliases.extend(errors.take(value(option).and_then(text)));
        } else if path.is_ident("crate") {
            let mut krate = self.has_krate.then(Krate::default);
            set(&mut krate, option, value(option).and_then(Krate::from_value), errors);
            self.krate = krate.unwrap_or_default();
            self.has_krate = true;
        } else {
            return false;
        }
        true
    }
}

/// `#[aggregate(…)]`.
#[derive(Default)]
pub(crate) struct AggregateOptions {
    pub(crate) naming: Naming,
    pub(crate) events: Option<Vec<Path>>,
    pub(crate) ignores: Option<Vec<LitStr>>,
    pub(crate) snapshot: Option<ExprPath>,
    pub(crate) snapshot_every: Option<LitInt>,
    pub(crate) snapshot_version: Option<LitInt>,
    pub(crate) snapshot_codec: Option<Codec>,
    pub(crate) validate: Option<ExprPath>,
}

impl AggregateOptions {
    pub(crate) fn read(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("aggregate")) {
            let list = attribute.meta.require_list().map(|list| list.tokens.clone());
            let Some(tokens) = errors.take(list) else { continue };
            for option in metas(tokens, errors) {
                options.read_option(&option, errors);
            }
        }
        options
    }

    fn read_option(&mut self, option: &Meta, errors: &mut Errors) {
        let path = option.path();
        if path.is_ident("events") {
            set(&mut self.events, option, listed(option), errors);
        } else if path.is_ident("ignores") {
            set(&mut self.ignores, option, ignored(option), errors);
        } else if path.is_ident("snapshot") {
            set(&mut self.snapshot, option, keyword(option, "off"), errors);
        } else if path.is_ident("snapshot_every") {
            set(&mut self.snapshot_every, option, value(option).and_then(number), errors);
        } else if path.is_ident("snapshot_version") {
            set(&mut self.snapshot_version, option, value(option).and_then(number), errors);
        } else if path.is_ident("snapshot_codec") {
            set(&mut self.snapshot_codec, option, value(option).and_then(Codec::from_value), errors);
        } else if path.is_ident("validate") {
            set(&mut self.validate, option, value(option).and_then(function), errors);
        } else if !self.naming.read(option, errors) {
            errors.at(
                path,
                "unknown option: `#[aggregate(…)]` knows `events`, `ignores`, `snapshot_every`, `snapshot`, \
                 `snapshot_version`, `snapshot_codec`, `validate`, `name`, `alias` and `crate`",
            );
        }
    }
}

/// The options of `#[event(…)]`, and those after the state in `#[state_event(…)]`.
#[derive(Default)]
pub(crate) struct EventOptions {
    pub(crate) naming: Naming,
    pub(crate) upcasts: Option<Vec<Upcast>>,
    pub(crate) codec: Option<Codec>,
    pub(crate) derive: Option<ExprPath>,
}

impl EventOptions {
    pub(crate) fn read(arguments: TokenStream, errors: &mut Errors) -> Self {
        let options = metas(arguments, errors);
        Self::from_metas(&options, errors)
    }

    fn from_metas(metas: &[Meta], errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for option in metas {
            if option.path().is_ident("derive") {
                set(&mut options.derive, option, keyword(option, "none"), errors);
            } else if option.path().is_ident("upcasts") {
                set(&mut options.upcasts, option, upcasts(option), errors);
            } else if option.path().is_ident("codec") {
                set(&mut options.codec, option, value(option).and_then(Codec::from_value), errors);
            } else if !options.naming.read(option, errors) {
                errors.at(
                    option.path(),
                    "unknown option: an event knows `name`, `alias`, `upcasts`, `codec`, `derive` and `crate`",
                );
            }
        }
        options
    }
}

/// `#[state_event(State, …)]`.
pub(crate) struct StateEventOptions {
    pub(crate) states: Vec<Path>,
    pub(crate) event: EventOptions,
}

impl StateEventOptions {
    pub(crate) fn read(arguments: TokenStream, errors: &mut Errors) -> Self {
        let mut options = metas(arguments, errors);
        let states = options.extract_if(.., |option| is_state(option)).map(|option| option.path().clone());
        Self { states: states.collect(), event: EventOptions::from_metas(&options, errors) }
    }

    /// The states that an attribute names.
    pub(crate) fn states_of(attribute: &Attribute) -> Vec<Path> {
        let list = attribute.meta.require_list().map(|list| list.tokens.clone());
        list.map(|tokens| Self::read(tokens, &mut Errors::default()).states).unwrap_or_default()
    }
}

/// Whether this is the path of a state, and not an option that lacks its value.
fn is_state(option: &Meta) -> bool {
    const OPTIONS: [&str; 5] = ["name", "alias", "upcasts", "derive", "crate"];
    matches!(option, Meta::Path(path) if !OPTIONS.iter().any(|option| path.is_ident(option)))
}

/// `#[state(…)]` on a field of a state event.
#[derive(Default)]
pub(crate) struct FieldOptions {
    pub(crate) rename: Option<Ident>,
    pub(crate) path: Option<Vec<Member>>,
    pub(crate) skip: Option<Path>,
    pub(crate) way: Option<Way>,
}

/// How a field gets into the state, if it is not simply set.
pub(crate) enum Way {
    Assign,
    Push,
    Extend,
    With(ExprPath),
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Self::Assign => "assign",
            Self::Push => "push",
            Self::Extend => "extend",
            Self::With(_) => "with",
        }
    }
}

impl FieldOptions {
    pub(crate) fn read(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for attribute in attributes {
            let list = attribute.meta.require_list().map(|list| list.tokens.clone());
            let Some(tokens) = errors.take(list) else { continue };
            for option in metas(tokens, errors) {
                options.read_option(&option, errors);
            }
        }
        options
    }

    fn read_option(&mut self, option: &Meta, errors: &mut Errors) {
        let path = option.path();
        if path.is_ident("rename") {
            set(&mut self.rename, option, value(option).and_then(text).and_then(own_field), errors);
        } else if path.is_ident("path") {
            set(&mut self.path, option, value(option).and_then(text).and_then(|text| members(&text)), errors);
        } else if path.is_ident("skip") {
            set(&mut self.skip, option, flag(option, ""), errors);
        } else if path.is_ident("assign") {
            self.set_way(option, way(option, Way::Assign), errors);
        } else if path.is_ident("push") {
            self.set_way(option, way(option, Way::Push), errors);
        } else if path.is_ident("extend") {
            self.set_way(option, way(option, Way::Extend), errors);
        } else if path.is_ident("with") {
            self.set_way(option, value(option).and_then(function).map(Way::With), errors);
        } else {
            errors.at(
                path,
                "unknown option: `#[state(…)]` knows `rename`, `path`, `assign`, `push`, `extend`, `with` and `skip`",
            );
        }
    }

    fn set_way(&mut self, option: &Meta, way: syn::Result<Way>, errors: &mut Errors) {
        let path = option.path();
        match &self.way {
            Some(earlier) if !path.is_ident(earlier.name()) => errors.at(
                path,
                format!(
                    "`{}` and `{}` exclude each other: a field gets into the state in one way, so take one out",
                    earlier.name(),
                    path.to_token_stream()
                ),
            ),
            _ => set(&mut self.way, option, way, errors),
        }
    }
}

/// Fills an option, once.
fn set<T>(slot: &mut Option<T>, option: &Meta, value: syn::Result<T>, errors: &mut Errors) {
    if slot.is_some() {
        let path = option.path();
        errors.at(path, format!("`{}` is given twice", path.to_token_stream()));
    } else {
        *slot = errors.take(value);
    }
}

fn metas(tokens: TokenStream, errors: &mut Errors) -> Vec<Meta> {
    let options = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens);
    errors.take(options).unwrap_or_default().into_iter().collect()
}

fn listed(option: &Meta) -> syn::Result<Vec<Path>> {
    let Meta::List(list) = option else {
        return Err(syn::Error::new_spanned(
            option,
            "write the events in parentheses: `events(First, Second)`",
        ));
    };
    list.parse_args_with(ast::paths)
}

fn ignored(option: &Meta) -> syn::Result<Vec<LitStr>> {
    let Meta::List(list) = option else {
        return Err(syn::Error::new_spanned(
            option,
            "write the stored names in parentheses: `ignores(\"First\", \"Second\")`",
        ));
    };
    let name = |input: ParseStream<'_>| input.parse().and_then(|value| text(&value));
    let names = |input: ParseStream<'_>| Punctuated::<LitStr, Token![,]>::parse_terminated_with(input, name);
    Ok(list.parse_args_with(names)?.into_iter().collect())
}

fn upcasts(option: &Meta) -> syn::Result<Vec<Upcast>> {
    let Meta::List(list) = option else {
        return Err(syn::Error::new_spanned(
            option,
            "write the older forms in parentheses: `upcasts(UserCreatedV1)`",
        ));
    };
    let upcasts = list.parse_args_with(Punctuated::<Upcast, Token![,]>::parse_terminated)?;
    Ok(upcasts.into_iter().collect())
}

fn value(option: &Meta) -> syn::Result<&Expr> {
    let mut value = &option.require_name_value()?.value;
    // A value that comes out of a `macro_rules!` stands in an invisible group.
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    Ok(value)
}

fn way(option: &Meta, way: Way) -> syn::Result<Way> {
    flag(option, ": `rename = \"…\"` says which field of the state it is, where the names differ")
        .map(|_| way)
}

/// An option that is only a word.
fn flag(option: &Meta, hint: &str) -> syn::Result<Path> {
    option.require_path_only().cloned().map_err(|_| {
        let message = format!("`{}` takes no value{hint}", option.path().to_token_stream());
        syn::Error::new_spanned(option, message)
    })
}

/// A string.
pub(crate) fn text(value: &Expr) -> syn::Result<LitStr> {
    match value {
        Expr::Lit(literal) if let Lit::Str(text) = &literal.lit => Ok(text.clone()),
        _ => Err(syn::Error::new_spanned(value, "expected a string: `\"…\"`")),
    }
}

/// The name of a field of the state itself.
fn own_field(text: LitStr) -> syn::Result<Ident> {
    field_name(&text).ok_or_else(|| {
        let message = if text.value().contains('.') {
            "this is not the name of a field: write `path = \"…\"` for one that is inside another"
        } else {
            "this is not the name of a field"
        };
        syn::Error::new_spanned(text, message)
    })
}

/// The way to a field inside others: `"address.city"`, `"range.0"`.
fn members(text: &LitStr) -> syn::Result<Vec<Member>> {
    let member = |part: &str| {
        member(&LitStr::new(part, text.span())).ok_or_else(|| {
            let part = if part.is_empty() {
                "a name is missing"
            } else {
                &format!("`{part}` is not the name of a field")
            };
            let message = format!(
                "{part}: a path has the names from the state to the field, with a dot between two, \
                 as in `\"address.city\"`"
            );
            syn::Error::new_spanned(text, message)
        })
    };
    text.value().split('.').map(member).collect()
}

/// A field by its name, or by its place in a tuple.
fn member(text: &LitStr) -> Option<Member> {
    field_name(text).map(Member::Named).or_else(|| {
        let index: u32 = text.value().parse().ok()?;
        let is_plain = index.to_string() == text.value();
        is_plain.then(|| Member::Unnamed(Index { index, span: text.span() }))
    })
}

/// The name of a field, which may be a keyword: `r#type` is written `"type"` or `"r#type"`.
fn field_name(text: &LitStr) -> Option<Ident> {
    let word = text.parse_with(Ident::parse_any).ok()?;
    let name = word.to_string();
    match name.as_str() {
        "self" | "Self" | "super" | "crate" | "_" => None,
        name if name.starts_with("r#") => Some(word),
        name => text.parse().ok().or_else(|| Some(Ident::new_raw(name, text.span()))),
    }
}

fn number(value: &Expr) -> syn::Result<LitInt> {
    match value {
        Expr::Lit(literal) if let Lit::Int(number) = &literal.lit => Ok(number.clone()),
        _ => Err(syn::Error::new_spanned(value, "expected a whole number")),
    }
}

fn function(value: &Expr) -> syn::Result<ExprPath> {
    match value {
        Expr::Path(path) => Ok(path.clone()),
        _ => Err(syn::Error::new_spanned(value, "expected the path of a function, without quotes")),
    }
}

fn keyword(option: &Meta, word: &str) -> syn::Result<ExprPath> {
    match value(option)? {
        Expr::Path(path) if path.path.is_ident(word) => Ok(path.clone()),
        other => Err(syn::Error::new_spanned(other, format!("the only value is `{word}`"))),
    }
}
