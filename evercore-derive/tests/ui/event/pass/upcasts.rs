use evercore::{Aggregate, Apply, Event, EventType, event, registry, state_event};

mod old {
    use evercore::event;

    #[event(name = "UserCreated")]
    pub struct UserCreatedV1 {
        pub name: String,
    }

    #[event(name = "UserImported")]
    pub struct UserImported;
}

/// Goes on with the first form, while `User` upcasts it.
#[derive(Default, Aggregate)]
#[aggregate(events(old::UserCreatedV1), ignores(), snapshot = off)]
struct Archive {}

impl Apply<old::UserCreatedV1> for Archive {
    fn apply(&mut self, _event: &old::UserCreatedV1) {}
}

#[state_event(
    User,
    name = "UserCreated.v2",
    upcasts(
        old::UserCreatedV1,
        old::UserImported with UserCreated::imported,
        "UserAdded" with self::added,
        "UserMade" with added,
    ),
)]
struct UserCreated {
    name: String,
}

impl From<old::UserCreatedV1> for UserCreated {
    fn from(old: old::UserCreatedV1) -> Self {
        Self { name: old.name }
    }
}

impl UserCreated {
    fn imported(_old: old::UserImported) -> Result<Self, &'static str> {
        Err("nothing is known of it")
    }
}

fn added(old: serde_json::Value) -> Result<UserCreated, serde_json::Error> {
    serde_json::from_value(old)
}

#[derive(Default, Aggregate)]
#[aggregate(events(UserCreated), ignores("UserSeen", "UserHinted"), snapshot = off)]
struct User {
    name: String,
}

registry!(Domain { Archive, User });

macro_rules! chain {
    ($old:ident) => {};
    ($old:ident $new:ident $($newer:ident)*) => {
        #[event(upcasts($old))]
        struct $new {}

        impl From<$old> for $new {
            fn from(_old: $old) -> Self {
                Self {}
            }
        }

        chain!($new $($newer)*);
    };
}

#[event]
struct V0 {}

chain! {
    V0 V1 V2 V3 V4 V5 V6 V7 V8 V9 V10 V11 V12 V13 V14 V15 V16
    V17 V18 V19 V20 V21 V22 V23 V24 V25 V26 V27 V28 V29 V30 V31 V32
}

fn main() {
    let names: Vec<_> = UserCreated::ANCESTORS.iter().map(|ancestor| ancestor.name).collect();
    assert_eq!(names, ["UserCreated", "UserImported", "UserAdded", "UserMade"]);
    assert!(EventType::of::<V32>().is_named("V0"));
    assert!(!matches!(UserEvent::Ignored, UserEvent::UserCreated(_)));
}
