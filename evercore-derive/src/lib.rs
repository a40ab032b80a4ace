//! The macros of evercore: [`macro@Aggregate`], [`macro@event`], [`macro@state_event`] and [`macro@registry`].
//!
//! Use them through the `evercore` crate, which re-exports them. What they generate calls hidden parts of
//! `evercore` of the same version.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as TokenStream2;
use syn::DeriveInput;

use crate::{
    ast::{Aggregate, Event, Registry, StateEvent},
    attr::{Errors, EventOptions, StateEventOptions},
};

mod ast;
mod attr;
mod check;
mod expand;
mod fallback;
mod path;
#[cfg(test)]
mod tests;

/// Makes a plain struct an aggregate: a state that is rebuilt from the listed events.
///
/// ```
/// use evercore::{Aggregate, Apply, event, state_event};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Default, Clone, Serialize, Deserialize, Aggregate)]
/// #[aggregate(events(UserCreated, UserLoggedIn), snapshot_every = 50, validate = User::check)]
/// pub struct User {
///     name: String,
///     logins: u64,
/// }
///
/// #[state_event(User)]
/// pub struct UserCreated {
///     name: String,
/// }
///
/// #[event]
/// pub struct UserLoggedIn {}
///
/// impl Apply<UserLoggedIn> for User {
///     fn apply(&mut self, _event: &UserLoggedIn) {
///         self.logins += 1;
///     }
/// }
///
/// impl User {
///     fn check(&self) -> Result<(), String> {
///         if self.name.is_empty() { Err("a user needs a name".into()) } else { Ok(()) }
///     }
/// }
///
/// let mut user = User::default();
/// assert!(user.change(|user| user.apply(&UserLoggedIn {})).is_err());
/// assert!(user.change(|user| user.apply(&UserCreated { name: "ann".into() })).is_ok());
/// assert_eq!((user.name.as_str(), user.logins), ("ann", 0));
///
/// let event: UserEvent = UserLoggedIn {}.into();
/// assert!(matches!(event, UserEvent::UserLoggedIn(_)));
/// ```
///
/// # What is needed
///
/// The type is a struct of any kind, without type parameters and lifetimes. It implements `Default`: the
/// state before the first event. Each listed event implements `Event` (by [`macro@event`] or
/// [`macro@state_event`]), and the state says with `Apply` what it does. Events may stand in other modules
/// and crates: write their paths. The last names of the paths must differ, because they name the variants; of
/// two equal ones bring one into scope under another name (`use archive::Opened as OldOpened;`).
///
/// # Options
///
/// All stand in `#[aggregate(…)]`, which may be repeated.
///
/// | Option | Effect | Without it |
/// |---|---|---|
/// | `events(First, Second)` | the events of this aggregate; required | |
/// | `ignores("First", "Second")` | stored events of these names are passed over, see below | |
/// | `name = "…"` | the name that is stored, 1 to 255 bytes | the name of the struct |
/// | `alias = "…"` | a name that was stored in the past; repeatable | |
/// | `snapshot_every = N` | a snapshot of the state after every N events | `Snapshots::DEFAULT_EVERY` |
/// | `snapshot = off` | no snapshots: the state needs no serde | |
/// | `snapshot_version = N` | makes the snapshots of other versions unreadable, see below | 0 |
/// | `validate = path` | refuses an event whose result the function refuses | every result is accepted |
/// | `crate = "path"` | where the library is | `::evercore` |
///
/// With snapshots the state implements `Serialize` and `Deserialize`.
///
/// `validate` is the path of a function from `&State` to `Result<(), E>`, where `E` is an error, a `String` or a
/// `&str`. It asks for `Clone`, because an event is tried on a copy first. It judges the state after an event that
/// is applied, nothing else: not the state of a new aggregate, and not what is loaded, because what happened,
/// happened. When a rule is made stricter later, the aggregates that break it can be loaded as before; from then on
/// each event is refused that leaves them invalid, so only one that repairs the state can be applied.
///
/// # Snapshots and changes of the state
///
/// A snapshot is used only if the state was written as it is now. That is judged by a fingerprint of the name of
/// the struct, the names and types of its fields as they stand in the source, their `#[serde(…)]` attributes, and
/// `snapshot_version`. Count `snapshot_version` up when something changes that the fingerprint does not see: what
/// `apply` does, or the fields of a type that the state contains. Then all events are replayed, once.
///
/// # Events that are of no interest any more
///
/// What is stored stays, and an event that is stored and not listed is an error when its aggregate is loaded. To let
/// an event type go, take it out of `events(…)`, delete it, and say under which names it is stored:
///
/// ```
/// use evercore::{Aggregate, state_event};
///
/// #[derive(Default, Aggregate)]
/// #[aggregate(events(UserCreated), ignores("PasswordHintGiven", "HintGiven"), snapshot = off)]
/// pub struct User {
///     name: String,
/// }
///
/// #[state_event(User)]
/// pub struct UserCreated {
///     name: String,
/// }
///
/// fn greeting(event: UserEvent) -> Option<String> {
///     match event {
///         UserEvent::UserCreated(created) => Some(format!("hello {}", created.name)),
///         UserEvent::Ignored => None,
///     }
/// }
///
/// assert_eq!(greeting(UserEvent::Ignored), None);
/// ```
///
/// A load passes over them: they count in the sequence and leave the state alone. Where the log is read, they come
/// as before, because filters are not affected, and are decoded as the variant `Ignored`, which the enum has for
/// them: what they contain is not looked at. They are not written: `ctx.publish` refuses them as unknown.
///
/// The names are the stored ones, those of aliases too. None of them is a name of a listed event, an alias or an older
/// form of one.
///
/// # What is generated
///
/// * `impl Aggregate for User`,
/// * `enum UserEvent` with one variant for each event, named like the event, as visible as the struct; it is
///   `Debug`, `Clone`, and `From` each event. With `ignores(…)` it has the variant `Ignored` besides,
/// * `impl EventOf<User>` for each event: what allows `ctx.apply(&mut user, event)`,
/// * `impl SnapshotAggregate for User`, unless `snapshot = off`,
/// * a check that no two events have a name or alias in common, their older forms included, which is an error at the
///   second one.
#[proc_macro_derive(Aggregate, attributes(aggregate))]
pub fn aggregate(input: TokenStream) -> TokenStream {
    aggregate_inner(input.into()).into()
}

/// Makes a plain struct an event.
///
/// ```
/// use evercore::{Event, event};
///
/// #[event(name = "user-logged-in", alias = "UserLoggedIn")]
/// #[derive(PartialEq)]
/// #[serde(rename_all = "camelCase")]
/// pub struct UserLoggedIn {
///     pub from_address: String,
/// }
///
/// assert_eq!(UserLoggedIn::NAME, "user-logged-in");
/// let json = serde_json::to_string(&UserLoggedIn { from_address: "192.0.2.1".into() })?;
/// assert_eq!(json, r#"{"fromAddress":"192.0.2.1"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// The state says what the event does to it, with `impl Apply`. For an event whose fields are fields of the state,
/// [`macro@state_event`] writes that.
///
/// # Where it stands
///
/// **Above all derives.** A derive above it has done its work before the attribute is asked, which then derives
/// the same again: the compiler speaks of conflicting implementations.
///
/// # Options
///
/// | Option | Effect | Without it |
/// |---|---|---|
/// | `name = "…"` | the name that is stored, 1 to 255 bytes | the name of the struct |
/// | `alias = "…"` | a name that was stored in the past; repeatable | |
/// | `upcasts(Old, …)` | older forms that become this event when they are read, see below | |
/// | `derive = none` | derives nothing | derives what is missing |
/// | `crate = "path"` | where the library is | `::evercore` |
///
/// Once events are stored, their name must stay. To rename the struct, either keep the name with `name`, or
/// make the old name an `alias`. Two events of one aggregate must not share a name, and in a
/// [`registry!`](macro@registry) two types must not.
///
/// # When the fields change
///
/// Stored events stay as they were written, so the struct has to go on reading them:
///
/// ```
/// # use evercore::event;
/// #[event]
/// #[derive(PartialEq)]
/// pub struct OrderPlaced {
///     pub item: String,
///     #[serde(default)]                // added later: 0 in older events
///     pub discount: u32,
///     #[serde(alias = "remark")]       // renamed: older events say `remark`
///     pub note: Option<String>,        // an `Option` is `None` where it is missing
/// }
///
/// let old: OrderPlaced = serde_json::from_str(r#"{"item":"book","remark":"a gift"}"#)?;
/// assert_eq!(old, OrderPlaced { item: "book".into(), discount: 0, note: Some("a gift".into()) });
/// let older: OrderPlaced = serde_json::from_str(r#"{"item":"book","weight":3}"#)?;
/// assert_eq!(older, OrderPlaced { item: "book".into(), discount: 0, note: None });
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// * A new field is an `Option`, or has `#[serde(default)]` or `#[serde(default = "path")]`.
/// * A field that is no longer needed is taken out: what older events say of it is passed over.
/// * A change of meaning or type is a new event type, which upcasts the old one.
///
/// # Upcasting
///
/// Where serde's attributes do not suffice, the old shape stays, as a type of its own that keeps the stored name. The
/// new shape takes another name, and says what it is made from. The aggregate lists the newest form alone, and only
/// that one needs `Apply`:
///
/// ```
/// use evercore::{Aggregate, event, state_event};
/// use serde_json::Value;
///
/// #[event(name = "UserCreated")]
/// pub struct UserCreatedV1 {
///     pub name: String,
/// }
///
/// #[event(name = "UserCreated.v2", upcasts(UserCreatedV1))]
/// pub struct UserCreatedV2 {
///     pub first: String,
///     pub last: String,
/// }
///
/// impl From<UserCreatedV1> for UserCreatedV2 {
///     fn from(old: UserCreatedV1) -> Self {
///         let (first, last) = old.name.split_once(' ').unwrap_or((&old.name, ""));
///         Self { first: first.into(), last: last.into() }
///     }
/// }
///
/// #[event]
/// pub struct UserImported {
///     pub line: String,
/// }
///
/// #[state_event(
///     User,
///     name = "UserCreated.v3",
///     upcasts(UserCreatedV2, UserImported with UserCreated::imported, "UserAdded" with added),
/// )]
/// pub struct UserCreated {
///     pub sorted_as: String,
/// }
///
/// impl From<UserCreatedV2> for UserCreated {
///     fn from(old: UserCreatedV2) -> Self {
///         Self { sorted_as: format!("{}, {}", old.last, old.first) }
///     }
/// }
///
/// impl UserCreated {
///     fn imported(old: UserImported) -> Result<Self, String> {
///         let name = old.line.split(';').nth(2).ok_or("the line has no third field")?;
///         Ok(Self { sorted_as: name.into() })
///     }
/// }
///
/// fn added(old: Value) -> Result<UserCreated, serde_json::Error> {
///     serde_json::from_value(old["user"].clone())
/// }
///
/// #[derive(Default, Aggregate)]
/// #[aggregate(events(UserCreated), snapshot = off)]
/// pub struct User {
///     sorted_as: String,
/// }
///
/// let stored = evercore::Payload::new(evercore::Codec::JSON, br#"{"name":"Ada Lovelace"}"#.to_vec());
/// let UserEvent::UserCreated(event) = User::decode_event(0, "UserCreated", &stored)?;
/// assert_eq!(event.sorted_as, "Lovelace, Ada");
/// # Ok::<(), evercore::DecodeError>(())
/// ```
///
/// `upcasts(…)` stands once and lists any number of older forms:
///
/// | Form | What it is made from | What is needed |
/// |---|---|---|
/// | `Old` | an event | `impl From<Old> for New` |
/// | `Old with path` | an event, and it may fail | a function from `Old` to `Result<New, E>` |
/// | `"name" with path` | the JSON stored under this name | a function from `serde_json::Value` to `Result<New, E>` |
///
/// `E` is an error, a `String` or a `&str`. A failure is `Error::Decode`, as for an event that has not the shape of its
/// type: it names the aggregate, the sequence and the stored type, and its sources end with what the function said.
///
/// An older form may have older forms in turn, up to 32 generations: what the first one wrote goes through all steps.
/// It is made by [`macro@event`], and a [`macro@state_event`] becomes one of these: its fields need not be fields of the
/// state any more. A type that implements `Event` by hand is upcast by its name. Whoever asks for the newest form gets
/// all: loads, `decode` and `decode_event` of a stored event, and filters, which find the names of older forms as they
/// find aliases. What is stored is never rewritten.
///
/// These are errors of the compiler: a missing step, a chain that goes round, and two types for one stored name, be it
/// in one chain or in an aggregate, such as an older form that is listed beside the newer one.
///
/// # What is generated
///
/// * `impl Event`,
/// * derives of `Debug`, `Clone`, `Serialize` and `Deserialize`, each unless a `#[derive(…)]` below names it. Those
///   of serde find it through the library, so the crate needs no dependency on serde. A derive inside
///   `cfg_attr` is not seen: write `derive = none` and all derives yourself.
///
/// The type is a struct of any kind, without type parameters and lifetimes.
#[proc_macro_attribute]
pub fn event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    event_inner(arguments.into(), item.into()).into()
}

/// Makes a plain struct an event that brings its fields into the state, by name.
///
/// ```
/// use evercore::{Aggregate, Apply, state_event};
///
/// #[derive(Default, Aggregate)]
/// #[aggregate(events(UserCreated, UserUpdated), snapshot = off)]
/// pub struct User {
///     name: String,
///     age: u32,
///     nickname: Option<String>,
/// }
///
/// #[state_event(User)]
/// pub struct UserCreated {
///     name: String,
///     age: u8,             // converts: `u32` is `From<u8>`
///     nickname: String,    // converts: `Option<T>` is `From<T>`
/// }
///
/// #[state_event(User)]
/// pub struct UserUpdated {
///     #[state(rename = "name")]
///     new_name: Option<String>,
///     age: Option<u32>,
///     #[state(assign)]
///     nickname: Option<String>,
///     #[state(skip)]
///     reason: String,
/// }
///
/// let mut user = User::default();
/// user.apply(&UserCreated { name: "ann".into(), age: 41, nickname: "annie".into() });
/// user.apply(&UserUpdated { new_name: None, age: Some(42), nickname: None, reason: "birthday".into() });
/// assert_eq!(user.name, "ann");           // `None` left it alone
/// assert_eq!(user.age, 42);
/// assert_eq!(user.nickname, None);        // `assign` set it to `None`
/// ```
///
/// # How a field gets into the state
///
/// | Field of the event | Effect on the field of the state |
/// |---|---|
/// | `field: T` | set to the value, converted by `From` |
/// | `field: Option<T>` | `None` leaves it alone, else set to the value, converted by `From` |
/// | `#[state(assign)] field: Option<T>` | set to the `Option` itself, also to `None` |
/// | `#[state(rename = "other")]` | the field of the state has this name |
/// | `#[state(skip)]` | none: the field is only in the event |
///
/// A field that the state does not have, and a type that does not convert, are errors of the compiler at the field.
///
/// Traps:
/// * Whether a type is an `Option` is judged by its spelling: `Option<T>`, `std::option::Option<T>`. An alias
///   (`type Maybe<T> = Option<T>`) is not seen and assigned like any other type: `None` reaches the state, or does
///   not compile. An own type named `Option` is taken for the one of the standard library.
/// * `Option<Option<T>>` for a field of type `Option<T>` tells all three apart: `None` leaves it alone, `Some(None)`
///   empties it, `Some(Some(value))` sets it. JSON does not: both kinds of `None` are `null`, and read as the outer
///   one. Use an event of its own, or `assign`.
/// * A conversion happens at every replay. A `From` that changes later changes the states of the past.
///
/// # Where it stands, options, what is generated
///
/// As with [`macro@event`], including its options, which follow the state:
/// `#[state_event(User, name = "user-created")]`. In addition there is `impl Apply<…> for User`, and a check that
/// `User` lists the event. The event stands in the crate of the state, because of the orphan rule; an event of
/// another crate is an [`macro@event`], and its `impl Apply` stands beside the state. The fields of the state need
/// only be visible where the event stands.
///
/// The fields of the struct have names, or there are none.
#[proc_macro_attribute]
pub fn state_event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    state_event_inner(arguments.into(), item.into()).into()
}

/// Makes the set of all aggregates of an application, which knows their names and decodes their events.
///
/// ```
/// use evercore::{Aggregate, Apply, Registry, event, registry};
///
/// #[event]
/// pub struct Opened {}
///
/// #[derive(Default, Aggregate)]
/// #[aggregate(events(Opened), snapshot = off)]
/// pub struct Account {}
///
/// impl Apply<Opened> for Account {
///     fn apply(&mut self, _event: &Opened) {}
/// }
///
/// mod billing {
///     # use evercore::{Aggregate, Apply};
///     # use super::Opened;
///     #[derive(Default, Aggregate)]
///     #[aggregate(events(Opened), snapshot = off)]
///     pub struct Order {}
///     # impl Apply<Opened> for Order {
///     #     fn apply(&mut self, _event: &Opened) {}
///     # }
/// }
///
/// registry!(pub Billing { billing::Order });
///
/// registry! {
///     /// Everything that this application stores.
///     pub Domain {
///         Account,
///         Billing,
///     }
/// }
///
/// # fn main() {
/// let names: Vec<_> = Domain::TYPES.aggregates().iter().map(|aggregate| aggregate.name).collect();
/// assert_eq!(names, ["Account", "Order"]);
///
/// let event = DomainEvent::Billing(BillingEvent::Order(Opened {}.into()));
/// assert_eq!(format!("{event:?}"), "Billing(Order(Opened(Opened)))");
/// # }
/// ```
///
/// The parts are aggregates and other registries, which may stand in other modules and crates. Attributes and
/// docs go to the struct, the visibility to struct and enum. Where the library has another name, say so first:
/// `registry!(crate = ::other; pub Domain { … })`.
///
/// # What is generated
///
/// * `struct Domain`, a name without content,
/// * `enum DomainEvent` with one variant for each part, named by the last name of its path; it is `Debug`,
/// * `impl Registry for Domain`.
///
/// # What is refused
///
/// At compile time, at the part that is too much: two aggregates with a name or alias in common (also the
/// same one twice, by way of a nested registry), and two different event types with a name or alias in common.
/// One event type may be listed by any number of aggregates.
#[proc_macro]
pub fn registry(input: TokenStream) -> TokenStream {
    registry_inner(input.into()).into()
}

fn aggregate_inner(input: TokenStream2) -> TokenStream2 {
    let mut errors = Errors::default();
    let Some(item) = errors.take(syn::parse2::<DeriveInput>(input)) else { return errors.into_tokens() };
    let aggregate = Aggregate::new(&item, &mut errors);
    check::aggregate(&aggregate, &mut errors);
    if errors.is_empty() { expand::aggregate(&aggregate) } else { fallback::aggregate(aggregate, errors) }
}

fn event_inner(arguments: TokenStream2, item: TokenStream2) -> TokenStream2 {
    let mut errors = Errors::default();
    let Some(item) = errors.take(syn::parse2(item.clone())) else {
        return fallback::other_item(item, errors);
    };
    let mut event = Event::new(item, EventOptions::read(arguments, &mut errors));
    check::event(&event, &mut errors);
    if errors.is_empty() { expand::event(&event) } else { fallback::event(&mut event, errors) }
}

fn state_event_inner(arguments: TokenStream2, item: TokenStream2) -> TokenStream2 {
    let mut errors = Errors::default();
    let Some(item) = errors.take(syn::parse2(item.clone())) else {
        return fallback::other_item(item, errors);
    };
    let options = StateEventOptions::read(arguments, &mut errors);
    let mut event = StateEvent::new(item, options, &mut errors);
    check::state_event(&event, &mut errors);
    if errors.is_empty() { expand::state_event(&event) } else { fallback::state_event(&mut event, errors) }
}

fn registry_inner(input: TokenStream2) -> TokenStream2 {
    let mut errors = Errors::default();
    let Some(registry) = errors.take(syn::parse2::<Registry>(input)) else { return errors.into_tokens() };
    check::registry(&registry, &mut errors);
    if errors.is_empty() { expand::registry(&registry) } else { fallback::registry(registry, errors) }
}
