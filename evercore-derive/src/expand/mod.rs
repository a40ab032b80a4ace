//! From the checked model to tokens. What is written here is data and delegation; logic is in the library.

mod aggregate;
mod case;
mod declaration;
mod events;
mod registry;
mod shape;
mod state;
mod upcasts;

pub(crate) use self::{
    aggregate::{aggregate, aggregate_with, event_enum, snapshot_marker},
    events::event,
    registry::{registry, registry_types},
    state::{apply, state_event},
};
