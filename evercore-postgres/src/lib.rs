//! The PostgreSQL engine of evercore.
//!
//! There is nothing here yet: this crate holds the place, and the name, of the engine for production on many
//! machines. Until it is there, `evercore-sqlite` serves everything that runs on one machine, with the same API
//! and the same guarantees.
