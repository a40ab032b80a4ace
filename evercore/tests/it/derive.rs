//! What the generated code does.

use evercore::{
    Aggregate, Apply, Codec, DecodeError, Event, EventOf, Payload, RegisteredTypes, Registry, event,
    registry, state_event,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(events(UserCreated, UserUpdated, UserLoggedIn), name = "user", alias = "account")]
#[aggregate(validate = User::check)]
struct User {
    username: String,
    email: Option<String>,
    logins: u64,
}

impl User {
    fn check(&self) -> Result<(), TooManyLogins> {
        if self.logins <= 2 { Ok(()) } else { Err(TooManyLogins(self.logins)) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0} logins are too many")]
struct TooManyLogins(u64);

#[state_event(User)]
#[derive(PartialEq)]
struct UserCreated {
    username: String,
    email: String,
}

#[state_event(User, name = "user-updated", alias = "UserUpdated", alias = "UserChanged")]
#[derive(Default)]
struct UserUpdated {
    username: Option<String>,
    #[state(assign)]
    email: Option<String>,
    logins: Option<u32>,
}

#[event]
struct UserLoggedIn {}

impl Apply<UserLoggedIn> for User {
    fn apply(&mut self, _event: &UserLoggedIn) {
        self.logins += 1;
    }
}

/// Listed by two aggregates, which is fine: it is one type.
#[event]
struct Archived;

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Archived), snapshot = off)]
struct Order;

impl Apply<Archived> for Order {
    fn apply(&mut self, _event: &Archived) {}
}

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Archived), snapshot = off)]
struct Invoice;

impl Apply<Archived> for Invoice {
    fn apply(&mut self, _event: &Archived) {}
}

registry!(Billing { Order, Invoice });
registry!(Domain { User, Billing });

fn created() -> UserCreated {
    UserCreated { username: "ann".to_owned(), email: "ann@example.com".to_owned() }
}

fn user() -> User {
    User { username: "ann".to_owned(), email: Some("ann@example.com".to_owned()), logins: 1 }
}

#[test]
fn names_and_aliases_are_what_the_attributes_say() {
    assert_eq!((User::NAME, User::ALIASES), ("user", &["account"][..]));
    assert_eq!((Order::NAME, Order::ALIASES), ("Order", &[][..]));
    assert_eq!((UserCreated::NAME, UserCreated::ALIASES), ("UserCreated", &[][..]));
    assert_eq!(
        (UserUpdated::NAME, UserUpdated::ALIASES),
        ("user-updated", &["UserUpdated", "UserChanged"][..])
    );
}

#[test]
fn the_index_of_an_event_is_its_place_in_the_list() {
    assert_eq!(<UserCreated as EventOf<User>>::INDEX, 0);
    assert_eq!(<UserLoggedIn as EventOf<User>>::INDEX, 2);
    for (index, listed) in User::EVENTS.iter().enumerate() {
        assert_eq!(listed.name, ["UserCreated", "user-updated", "UserLoggedIn"][index]);
    }
}

#[test]
fn an_event_decodes_to_its_variant() -> Result<(), Box<dyn std::error::Error>> {
    let payload = Payload::encode(&created())?;
    let UserEvent::UserCreated(decoded) = User::decode_event(0, "UserCreated", &payload)? else {
        return Err("it is another variant".into());
    };
    assert_eq!(decoded, created());
    Ok(())
}

#[test]
fn a_payload_of_another_shape_is_an_error() {
    let payload = Payload::new(Codec::JSON, br#"{"username":7}"#.to_vec());
    assert!(matches!(User::decode_event(0, "UserCreated", &payload), Err(DecodeError::Shape(_))));
}

#[test]
fn the_events_of_an_aggregate_are_cloned_and_shown() {
    let event = UserEvent::from(created());
    let shown = r#"UserCreated(UserCreated { username: "ann", email: "ann@example.com" })"#;
    assert_eq!(format!("{:?}", event.clone()), shown);
}

#[test]
fn a_state_event_sets_fields_by_name() {
    let mut state = User::default();
    state.apply(&created());
    assert_eq!(state, User { logins: 0, ..user() });
}

#[test]
fn none_leaves_a_field_alone() {
    let mut state = user();
    state.apply(&UserUpdated { email: user().email, ..UserUpdated::default() });
    assert_eq!(state, user());
}

#[test]
fn some_sets_a_field_and_converts() {
    let mut state = user();
    state.apply(&UserUpdated { username: Some("bea".to_owned()), email: user().email, logins: Some(7) });
    assert_eq!(state, User { username: "bea".to_owned(), logins: 7, ..user() });
}

#[test]
fn an_assigned_option_sets_a_field_to_none() {
    let mut state = user();
    state.apply(&UserUpdated::default());
    assert_eq!(state, User { email: None, ..user() });
}

#[test]
fn a_change_that_is_valid_is_kept() {
    let mut state = user();
    assert!(state.change(|state| state.logins += 1).is_ok());
    assert_eq!(state.logins, 2);
}

#[test]
fn a_change_that_is_not_valid_leaves_the_state() {
    let mut state = user();
    let refusal = state.change(|state| state.logins += 2).map_err(|refusal| refusal.to_string());
    assert_eq!(refusal, Err("3 logins are too many".to_owned()));
    assert_eq!(state, user());
}

#[test]
fn a_registry_knows_the_aggregates_of_its_registries() {
    let names: Vec<_> = Domain::TYPES.aggregates().iter().map(|aggregate| aggregate.name).collect();
    assert_eq!(names, ["user", "Order", "Invoice"]);
    assert!(matches!(User::TYPES, RegisteredTypes::Aggregate(user) if user.is_named("account")));
}

#[test]
fn two_types_of_one_name_have_different_origins() {
    mod other {
        #[evercore::event]
        pub(super) struct UserLoggedIn {}
    }
    assert_eq!(UserLoggedIn::NAME, other::UserLoggedIn::NAME);
    assert_ne!(UserLoggedIn::ORIGIN, other::UserLoggedIn::ORIGIN);
}
