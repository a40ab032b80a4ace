use evercore::event;

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
    V17 V18 V19 V20 V21 V22 V23 V24 V25 V26 V27 V28 V29 V30 V31 V32 V33
}

fn main() {}
