//! Rules that need more than one option, or the item together with its options.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{Data, DeriveInput, Fields, LitStr, Path};

use crate::{
    ast::{Aggregate, Event, Registry, Source, StateEvent, StateField, last_ident, stored_name},
    attr::{AggregateOptions, Errors, FieldOptions, Naming},
};

/// The greatest length of a name in the store, in bytes.
const MAX_NAME: usize = 255;

pub(crate) fn aggregate(aggregate: &Aggregate<'_>, errors: &mut Errors) {
    plain_struct(aggregate.item, "an aggregate", errors);
    naming(&aggregate.options.naming, errors);
    events(aggregate, errors);
    ignored(aggregate, errors);
    snapshots(&aggregate.options, errors);
}

pub(crate) fn event(event: &Event, errors: &mut Errors) {
    base_event(event, errors);
    for attribute in event.state_attributes.iter().flatten() {
        errors.at(attribute, "`#[state(…)]` belongs to the fields of a `#[state_event(…)]`");
    }
}

pub(crate) fn state_event(event: &StateEvent, errors: &mut Errors) {
    base_event(&event.event, errors);
    if event.states.is_empty() && errors.is_empty() {
        errors.push(syn::Error::new(
            Span::call_site(),
            "say first whose state the event changes: `#[state_event(User)]`",
        ));
    }
    states(&event.states, errors);
    if let Data::Struct(data) = &event.event.item.data
        && let Fields::Unnamed(fields) = &data.fields
    {
        errors.at(
            fields,
            "a state event brings its fields into the state by name: give them names, \
             or make it an `#[event]` and write `impl Apply`",
        );
    }
    for field in &event.fields {
        state_field(field, errors);
    }
}

/// Each state gets an implementation of its own.
fn states(states: &[Path], errors: &mut Errors) {
    for (index, state) in states.iter().enumerate() {
        if states[..index].contains(state) {
            errors.at(state, format!("`{}` is listed twice", text(state)));
        }
    }
}

pub(crate) fn registry(registry: &Registry, errors: &mut Errors) {
    if let Some(error) = &registry.parts_error {
        errors.push(error.clone());
    } else if registry.parts.is_empty() {
        errors.at(&registry.name, "a registry needs at least one aggregate");
    }
    distinct(&registry.parts, errors);
}

fn base_event(event: &Event, errors: &mut Errors) {
    plain_struct(&event.item, "an event", errors);
    naming(&event.options.naming, errors);
    upcasts(event, errors);
    for attribute in &event.doubles {
        errors.at(
            attribute,
            "a type is made an event once: by `#[event]`, or by `#[state_event(First, Second)]` with all states \
             that it changes",
        );
    }
}

fn plain_struct(item: &DeriveInput, what: &str, errors: &mut Errors) {
    match &item.data {
        Data::Struct(_) => {}
        Data::Enum(data) => errors.at(data.enum_token, format!("{what} must be a struct")),
        Data::Union(data) => errors.at(data.union_token, format!("{what} must be a struct")),
    }
    if !item.generics.params.is_empty() {
        errors.at(&item.generics, format!("{what} must not have type parameters or lifetimes"));
    }
}

fn naming(naming: &Naming, errors: &mut Errors) {
    names(naming.name.iter().chain(&naming.aliases), errors);
}

/// Names of one list, each of which stands there once.
fn names<'a>(names: impl Iterator<Item = &'a LitStr>, errors: &mut Errors) {
    let mut known: Vec<&LitStr> = Vec::new();
    for name in names {
        let text = name.value();
        if text.is_empty() {
            errors.at(name, "a name must not be empty");
        } else if text.len() > MAX_NAME {
            errors.at(name, format!("the name is {} bytes long, the limit is {MAX_NAME}", text.len()));
        } else if text.contains('\0') {
            errors.at(name, "a name must not contain U+0000");
        } else if known.contains(&name) {
            errors.at(name, "this name is given twice");
        }
        known.push(name);
    }
}

fn upcasts(event: &Event, errors: &mut Errors) {
    let own = stored_name(&event.options.naming, &event.item.ident);
    let mut stored = vec![&own];
    stored.extend(&event.options.naming.aliases);
    let mut types: Vec<&Path> = Vec::new();
    for upcast in event.upcasts() {
        match &upcast.source {
            Source::Type(path) if types.contains(&path) => {
                errors.at(path, format!("`{}` is listed twice", text(path)));
            }
            Source::Type(path) if path.is_ident(&event.item.ident) || path.is_ident("Self") => errors.at(
                path,
                "an event is no older form of itself: keep the old shape as a type of its own, with the old name",
            ),
            Source::Type(path) => types.push(path),
            Source::Name(name) if upcast.with.is_none() => errors.at(
                name,
                format!(
                    "a name says nothing about what is stored: write `{} with path` and the function that makes \
                     the event of the stored JSON",
                    name.token()
                ),
            ),
            Source::Name(name) if stored.contains(&name) => errors.at(
                name,
                "this is a name of the event itself: stored events tell older forms by their names, so give the \
                 event another with `name = \"…\"`",
            ),
            Source::Name(_) => {}
        }
    }
    let sources = event.upcasts().iter().filter_map(|upcast| match &upcast.source {
        Source::Name(name) => Some(name),
        Source::Type(_) => None,
    });
    names(sources, errors);
}

fn ignored(aggregate: &Aggregate<'_>, errors: &mut Errors) {
    names(aggregate.ignored().iter(), errors);
    let variant =
        aggregate.events().iter().find(|path| last_ident(path).is_some_and(|last| last == "Ignored"));
    if let Some(path) = variant
        && !aggregate.ignored().is_empty()
    {
        errors.at(
            path,
            "with `ignores(…)` the variant `Ignored` stands for the events that are passed over: \
             bring this type into scope under another name with `use … as …`",
        );
    }
}

fn events(aggregate: &Aggregate<'_>, errors: &mut Errors) {
    match &aggregate.options.events {
        // Another mistake may well be the reason, such as a misspelt `events`.
        None if !errors.is_empty() => {}
        None => errors.at(
            &aggregate.item.ident,
            "missing events: add `#[aggregate(events(First, Second))]` with the events of this aggregate",
        ),
        Some(events) if events.is_empty() => {
            errors.at(&aggregate.item.ident, "an aggregate needs at least one event");
        }
        Some(events) => distinct(events, errors),
    }
}

/// Each path becomes a variant that has its last name.
fn distinct(paths: &[Path], errors: &mut Errors) {
    for (index, path) in paths.iter().enumerate() {
        let (earlier, name) = (&paths[..index], last_ident(path));
        if earlier.contains(path) {
            errors.at(path, format!("`{}` is listed twice", text(path)));
        } else if let Some(name) = name
            && earlier.iter().any(|other| last_ident(other) == Some(name))
        {
            errors.at(
                path,
                format!(
                    "two listed types have the last name `{name}`: \
                     bring one into scope under another with `use {} as …`",
                    text(path)
                ),
            );
        }
    }
}

fn text(path: &Path) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}

fn snapshots(options: &AggregateOptions, errors: &mut Errors) {
    if let Some(every) = &options.snapshot_every
        && !every.base10_parse::<i64>().is_ok_and(|every| every > 0)
    {
        errors.at(every, "snapshots are taken every N events, where N is at least 1");
    }
    if let Some(version) = &options.snapshot_version
        && let Err(error) = version.base10_parse::<u64>()
    {
        errors.push(error);
    }
    if options.snapshot.is_some() {
        contradiction(options.snapshot_every.as_ref(), "snapshot_every", errors);
        contradiction(options.snapshot_version.as_ref(), "snapshot_version", errors);
        contradiction(options.snapshot_codec.as_ref(), "snapshot_codec", errors);
    }
}

fn contradiction(value: Option<&impl ToTokens>, option: &str, errors: &mut Errors) {
    if let Some(value) = value {
        errors.at(value, format!("`{option}` and `snapshot = off` exclude each other"));
    }
}

fn state_field(field: &StateField, errors: &mut Errors) {
    let FieldOptions { rename, path, skip, way } = &field.options;
    if let Some(skip) = skip
        && (rename.is_some() || path.is_some() || way.is_some())
    {
        errors.at(skip, "a skipped field is not brought into the state: `skip` stands alone");
    } else if let Some(rename) = rename
        && path.is_some()
    {
        errors.at(
            rename,
            "`rename` and `path` exclude each other: `path` alone says which field of the state it is",
        );
    }
}
