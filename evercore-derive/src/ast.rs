//! What the macros were given, with the nodes as they stand in the source.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Attribute, Data, DeriveInput, Field, Fields, Ident, LitStr, Path, Token, Type, Visibility, braced,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
    punctuated::Punctuated,
};

use crate::{
    attr::{AggregateOptions, Errors, EventOptions, FieldOptions, Naming, StateEventOptions},
    path::Krate,
};

/// A type under `#[derive(Aggregate)]`.
pub(crate) struct Aggregate<'a> {
    pub(crate) item: &'a DeriveInput,
    pub(crate) options: AggregateOptions,
}

impl<'a> Aggregate<'a> {
    pub(crate) fn new(item: &'a DeriveInput, errors: &mut Errors) -> Self {
        Self { item, options: AggregateOptions::read(&item.attrs, errors) }
    }

    pub(crate) fn events(&self) -> &[Path] {
        self.options.events.as_deref().unwrap_or_default()
    }

    pub(crate) fn ignored(&self) -> &[LitStr] {
        self.options.ignores.as_deref().unwrap_or_default()
    }
}

/// A type under `#[event]`.
pub(crate) struct Event {
    pub(crate) item: DeriveInput,
    pub(crate) options: EventOptions,
    /// The `#[state(…)]` attributes of its fields, which stand in the item no more: rustc does not know them.
    pub(crate) state_attributes: Vec<Vec<Attribute>>,
    /// Further attributes that would make it an event once more.
    pub(crate) doubles: Vec<Attribute>,
}

impl Event {
    pub(crate) fn upcasts(&self) -> &[Upcast] {
        self.options.upcasts.as_deref().unwrap_or_default()
    }

    pub(crate) fn new(mut item: DeriveInput, options: EventOptions) -> Self {
        let state_attributes = fields_mut(&mut item).map(take_state_attributes).collect();
        let doubles = item.attrs.extract_if(.., |attribute| is_event_attribute(attribute)).collect();
        Self { item, options, state_attributes, doubles }
    }
}

/// An older form of an event, in `upcasts(…)`: `Old`, `Old with path`, or `"name" with path`.
pub(crate) struct Upcast {
    pub(crate) source: Source,
    pub(crate) with: Option<Path>,
}

/// What an event is made from.
pub(crate) enum Source {
    /// Another event.
    Type(Path),
    /// What is stored under a name that no type has any more.
    Name(LitStr),
}

impl Parse for Upcast {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let source = if input.peek(LitStr) {
            Source::Name(input.parse()?)
        } else {
            Source::Type(input.call(Path::parse_mod_style)?)
        };
        let with = input.parse::<Option<keyword::with>>()?;
        if with.is_some() && input.peek(LitStr) {
            return Err(input.error("expected the path of a function, without quotes"));
        }
        let with = with.map(|_| input.parse()).transpose()?;
        if with.is_none() && !input.is_empty() && !input.peek(Token![,]) {
            return Err(input.error("expected `with path::to::function`, or a comma"));
        }
        Ok(Self { source, with })
    }
}

mod keyword {
    syn::custom_keyword!(with);
}

/// A type under `#[state_event(…)]`.
pub(crate) struct StateEvent {
    pub(crate) event: Event,
    /// Those whose states it changes.
    pub(crate) states: Vec<Path>,
    pub(crate) fields: Vec<StateField>,
}

/// A field that a state event brings into the state.
pub(crate) struct StateField {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) options: FieldOptions,
    /// Its `#[cfg(…)]` attributes, which are still to be judged.
    pub(crate) conditions: Vec<Attribute>,
}

impl StateEvent {
    pub(crate) fn new(item: DeriveInput, options: StateEventOptions, errors: &mut Errors) -> Self {
        let event = Event::new(item, options.event);
        let fields = match &event.item.data {
            Data::Struct(data) if let Fields::Named(fields) = &data.fields => fields
                .named
                .iter()
                .zip(&event.state_attributes)
                .filter_map(|(field, attributes)| StateField::new(field, attributes, errors))
                .collect(),
            _ => Vec::new(),
        };
        Self { event, states: options.states, fields }
    }
}

impl StateField {
    fn new(field: &Field, attributes: &[Attribute], errors: &mut Errors) -> Option<Self> {
        let options = FieldOptions::read(attributes, errors);
        let conditions = field.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned();
        Some(Self {
            name: field.ident.clone()?,
            ty: field.ty.clone(),
            options,
            conditions: conditions.collect(),
        })
    }

    /// The field of the state that it changes: names, with dots between them.
    pub(crate) fn target(&self) -> TokenStream {
        let Self { name, options, .. } = self;
        match (&options.path, &options.rename) {
            (Some(path), _) => quote!(#(#path).*),
            (None, Some(rename)) => rename.to_token_stream(),
            (None, None) => name.to_token_stream(),
        }
    }

    /// Whether the field is an `Option`, as far as its spelling tells.
    pub(crate) fn is_option(&self) -> bool {
        is_option(&self.ty)
    }
}

/// Whether a type is an `Option`, as far as its spelling tells.
pub(crate) fn is_option(mut ty: &Type) -> bool {
    // A type that comes out of a `macro_rules!` stands in an invisible group.
    while let Type::Group(group) = ty {
        ty = &group.elem;
    }
    matches!(ty, Type::Path(ty) if last_ident(&ty.path).is_some_and(|last| last == "Option"))
}

/// The arguments of `registry!`.
pub(crate) struct Registry {
    pub(crate) krate: Krate,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) parts: Vec<Path>,
    /// What is wrong with the list of parts, if something is.
    pub(crate) parts_error: Option<syn::Error>,
}

impl Parse for Registry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut krate = Krate::default();
        if input.peek(Token![crate]) && input.peek2(Token![=]) {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            krate = Krate::named(input.call(Path::parse_mod_style)?);
            input.parse::<Token![;]>()?;
        }
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let name = input.parse()?;
        let parts;
        braced!(parts in input);
        let (parts, parts_error) = match paths.parse2(parts.parse()?) {
            Ok(parts) => (parts, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Ok(Self { krate, attributes, visibility, name, parts, parts_error })
    }
}

/// The name in the store: what the attribute says, or else the name of the type.
pub(crate) fn stored_name(naming: &Naming, ident: &Ident) -> LitStr {
    naming.name.clone().unwrap_or_else(|| LitStr::new(&ident.unraw().to_string(), ident.span()))
}

fn fields_mut(item: &mut DeriveInput) -> impl Iterator<Item = &mut Field> {
    let fields = match &mut item.data {
        Data::Struct(data) => Some(&mut data.fields),
        _ => None,
    };
    fields.into_iter().flat_map(Fields::iter_mut)
}

fn is_event_attribute(attribute: &Attribute) -> bool {
    last_ident(attribute.path()).is_some_and(|last| last == "event" || last == "state_event")
}

fn take_state_attributes(field: &mut Field) -> Vec<Attribute> {
    field.attrs.extract_if(.., |attribute| attribute.path().is_ident("state")).collect()
}

/// Reads paths with commas between them.
pub(crate) fn paths(input: ParseStream<'_>) -> syn::Result<Vec<Path>> {
    let paths = Punctuated::<Path, Token![,]>::parse_terminated_with(input, Path::parse_mod_style)?;
    Ok(paths.into_iter().collect())
}

/// The last name of a path.
pub(crate) fn last_ident(path: &Path) -> Option<&Ident> {
    path.segments.last().map(|last| &last.ident)
}
