//! The generated code, as a person would read it. A snapshot that is hard to read is a flaw of the design.

use proc_macro2::TokenStream;
use quote::quote;

use crate::{aggregate_inner, event_inner, registry_inner, state_event_inner};

fn pretty(tokens: TokenStream) -> String {
    let file = syn::parse2(tokens).expect("the expansion is Rust");
    prettyplease::unparse(&file)
}

macro_rules! assert_expansion {
    ($name:literal, $tokens:expr) => {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, pretty($tokens));
        });
    };
}

#[test]
fn aggregate() {
    let tokens = aggregate_inner(quote! {
        #[aggregate(events(UserCreated, audit::UserSeen))]
        #[serde(rename_all = "camelCase")]
        pub struct User {
            pub username: String,
            #[serde(rename = "mail")]
            pub email: Option<String>,
        }
    });
    assert_expansion!("aggregate", tokens);
}

#[test]
fn aggregate_with_options() {
    let tokens = aggregate_inner(quote! {
        #[aggregate(
            events(Opened), name = "account", alias = "acct", snapshot_every = 10, snapshot_version = 2,
            validate = Account::check, crate = "es::core"
        )]
        struct Account(u64);
    });
    assert_expansion!("aggregate_with_options", tokens);
}

#[test]
fn aggregate_without_snapshots() {
    let tokens = aggregate_inner(quote! {
        #[aggregate(events(Ticked), snapshot = off)]
        struct Clock;
    });
    assert_expansion!("aggregate_without_snapshots", tokens);
}

#[test]
fn aggregate_that_ignores() {
    let tokens = aggregate_inner(quote! {
        #[aggregate(events(Opened), ignores("closed", "locked"), snapshot = off)]
        struct Account;
    });
    assert_expansion!("aggregate_that_ignores", tokens);
}

#[test]
fn event() {
    let tokens = event_inner(
        quote!(),
        quote!(
            pub struct UserLoggedIn {
                pub at: DateTime<Utc>,
            }
        ),
    );
    assert_expansion!("event", tokens);
}

#[test]
fn event_with_options() {
    let tokens = event_inner(
        quote!(name = "user-renamed", alias = "UserRenamed", alias = "Renamed"),
        quote! {
            #[derive(PartialEq, Clone, serde::Serialize)]
            struct Renamed(String);
        },
    );
    assert_expansion!("event_with_options", tokens);
}

#[test]
fn event_that_upcasts() {
    let tokens = event_inner(
        quote!(
            name = "user-created.3",
            upcasts(v2::UserCreated, Imported with UserCreated::imported, "added" with added)
        ),
        quote!(
            pub struct UserCreated {
                pub name: String,
            }
        ),
    );
    assert_expansion!("event_that_upcasts", tokens);
}

#[test]
fn event_that_derives_nothing() {
    let tokens = event_inner(
        quote!(derive = none),
        quote!(
            struct Ticked;
        ),
    );
    assert_expansion!("event_that_derives_nothing", tokens);
}

#[test]
fn state_event() {
    let tokens = state_event_inner(
        quote!(User),
        quote! {
            pub struct UserUpdated {
                pub username: Option<String>,
                #[state(rename = "is_active")]
                pub active: bool,
                #[state(assign)]
                pub nickname: Option<String>,
                #[state(skip)]
                pub reason: String,
            }
        },
    );
    assert_expansion!("state_event", tokens);
}

#[test]
fn state_event_that_reaches_inside() {
    let tokens = state_event_inner(
        quote!(Order),
        quote! {
            struct OrderChanged {
                #[state(path = "address.city")]
                city: Option<String>,
                #[state(push, rename = "lines")]
                line: Line,
                #[state(extend, path = "address.notes")]
                notes: Vec<String>,
                #[state(with = Total::add)]
                total: u32,
                #[state(with = discount)]
                discount: Option<u32>,
            }
        },
    );
    assert_expansion!("state_event_that_reaches_inside", tokens);
}

#[test]
fn state_event_of_two_states() {
    let tokens = state_event_inner(
        quote!(User, billing::Account, name = "renamed"),
        quote! {
            struct Renamed {
                name: String,
            }
        },
    );
    assert_expansion!("state_event_of_two_states", tokens);
}

#[test]
fn registry() {
    let tokens = registry_inner(quote!(pub Domain { User, billing::Order }));
    assert_expansion!("registry", tokens);
}

#[test]
fn errors_leave_the_impls_standing() {
    let tokens = aggregate_inner(quote! {
        #[aggregate(events(Opened, Opened), snapshot_every = 0, colour = "red")]
        struct Account;
    });
    assert_expansion!("errors_leave_the_impls_standing", tokens);
}
