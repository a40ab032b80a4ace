//! Texts about the library that belong to no single item of it. This module exists in the documentation only.

/// Why things are as they are: one record for each decision that took an argument.
pub mod decisions {
    #[doc = include_str!("../docs/decisions/0000-template.md")]
    pub mod _0000_template {}
    #[doc = include_str!("../docs/decisions/0002-sqlite-driver.md")]
    pub mod _0002_sqlite_driver {}
}
