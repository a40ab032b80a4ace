//! Subscriptions: events are delivered to those who follow the log.

mod ahead;
mod batch;
mod candidate;
mod closures;
mod common;
mod continuity;
mod decoder;
mod delivery;
mod durable;
mod ephemeral;
mod failed;
mod feed;
mod handler;
mod heartbeat;
mod hub;
mod lookout;
mod manage;
mod owner;
mod patience;
mod progress;
mod shutdown;
mod start;
mod status;
mod stored_filter;
mod streams;
mod tail;
mod transactional;
mod waiting_for;

pub(crate) use self::hub::Hub;
pub use self::{
    batch::{Batch, Decoded},
    decoder::{Decoder, Raw, Typed},
    delivery::OnFailure,
    durable::Subscription,
    ephemeral::EphemeralSubscription,
    failed::{FailedDelivery, RetriedFailures},
    handler::{Handler, HandlerError},
    start::StartFrom,
    status::{SubscriptionState, SubscriptionStatus},
    streams::{Acknowledge, BatchStream},
};
