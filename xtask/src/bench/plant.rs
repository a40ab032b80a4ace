//! What is stored: the readings of meters, each of about 150 bytes.

use evercore::{Aggregate, Apply, EventStore, event};
use serde::{Deserialize, Serialize};

use super::task::Outcome;

/// One event in so many is a [`Calibrated`].
pub(super) const RARITY: u32 = 1_000;

/// So many events has a meter.
const EVENTS_OF_METER: u32 = 100;

#[derive(Debug, Default, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Measured, Calibrated), snapshot = off)]
pub(super) struct Meter {
    number: u32,
}

/// What most events are.
#[event]
pub(super) struct Measured {
    pub(super) number: u32,
    pub(super) unit: String,
    pub(super) place: String,
    pub(super) reading: f64,
    pub(super) remarks: Vec<String>,
}

/// What few events are.
#[event]
pub(super) struct Calibrated {
    pub(super) number: u32,
}

impl Apply<Measured> for Meter {
    fn apply(&mut self, event: &Measured) {
        self.number = event.number;
    }
}

impl Apply<Calibrated> for Meter {
    fn apply(&mut self, event: &Calibrated) {
        self.number = event.number;
    }
}

evercore::registry!(pub(super) Plant { Meter });

pub(super) fn measured(number: u32) -> Measured {
    Measured {
        number,
        unit: "kilowatt hours".into(),
        place: "hall 3, second row, cabinet 17".into(),
        reading: f64::from(number) / 7.0,
        remarks: vec!["read by hand".into(), "seal unbroken".into()],
    }
}

/// Appends so many events, [`RARITY`] in a unit of work, the last of which is the rare one.
pub(super) async fn fill(store: &EventStore, events: u32) -> Outcome {
    for unit in 0..events / RARITY {
        let context = store.begin();
        let mut meter = context.create::<Meter>().await?;
        for number in 1..RARITY {
            context.apply(&mut meter, measured(unit * RARITY + number))?;
            if number % EVENTS_OF_METER == 0 {
                meter = context.create::<Meter>().await?;
            }
        }
        context.apply(&mut meter, Calibrated { number: unit })?;
        context.commit().await?;
    }
    Ok(())
}
