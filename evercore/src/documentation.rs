//! Texts about the library that belong to no single item of it. This module exists in the documentation only.

/// Why things are as they are: one record for each decision that took an argument.
pub mod decisions {
    #[doc = include_str!("../docs/decisions/0000-template.md")]
    pub mod _0000_template {}
    #[doc = include_str!("../docs/decisions/0001-copies-know-their-unit-of-work.md")]
    pub mod _0001_copies_know_their_unit_of_work {}
    #[doc = include_str!("../docs/decisions/0002-sqlite-driver.md")]
    pub mod _0002_sqlite_driver {}
    #[doc = include_str!("../docs/decisions/0003-a-snapshot-every-50-events.md")]
    pub mod _0003_a_snapshot_every_50_events {}
    #[doc = include_str!("../docs/decisions/0004-what-is-a-repeat.md")]
    pub mod _0004_what_is_a_repeat {}
    #[doc = include_str!("../docs/decisions/0005-recorded-time-is-unknown-at-apply.md")]
    pub mod _0005_recorded_time_is_unknown_at_apply {}
    #[doc = include_str!("../docs/decisions/0006-foreign-types-in-the-public-api.md")]
    pub mod _0006_foreign_types_in_the_public_api {}
    #[doc = include_str!("../docs/decisions/0007-an-alias-of-an-aggregate-stays-its-stored-name.md")]
    pub mod _0007_an_alias_of_an_aggregate_stays_its_stored_name {}
    #[doc = include_str!("../docs/decisions/0008-foreign-keys-on-postgresql.md")]
    pub mod _0008_foreign_keys_on_postgresql {}
    #[doc = include_str!("../docs/decisions/0009-readers-publish-the-horizon.md")]
    pub mod _0009_readers_publish_the_horizon {}
    #[doc = include_str!("../docs/decisions/0010-payloads-are-bytes-on-postgresql.md")]
    pub mod _0010_payloads_are_bytes_on_postgresql {}
    #[doc = include_str!("../docs/decisions/0011-poolers-that-know-no-prepared-statements.md")]
    pub mod _0011_poolers_that_know_no_prepared_statements {}
    #[doc = include_str!("../docs/decisions/0012-an-index-of-types-on-postgresql.md")]
    pub mod _0012_an_index_of_types_on_postgresql {}
    #[doc = include_str!("../docs/decisions/0013-one-reader-of-the-tail.md")]
    pub mod _0013_one_reader_of_the_tail {}
    #[doc = include_str!("../docs/decisions/0014-a-checkpoint-says-where-it-comes-from.md")]
    pub mod _0014_a_checkpoint_says_where_it_comes_from {}
    #[doc = include_str!("../docs/decisions/0015-an-index-of-types-on-sqlite.md")]
    pub mod _0015_an_index_of_types_on_sqlite {}
    #[doc = include_str!("../docs/decisions/0016-a-checkpoint-does-not-wait-for-the-disk.md")]
    pub mod _0016_a_checkpoint_does_not_wait_for_the_disk {}
    #[doc = include_str!("../docs/decisions/0017-older-forms-are-constants.md")]
    pub mod _0017_older_forms_are_constants {}
    #[doc = include_str!("../docs/decisions/0018-ignored-events-are-a-variant.md")]
    pub mod _0018_ignored_events_are_a_variant {}
    #[doc = include_str!("../docs/decisions/0019-a-lock-file-of-declarations.md")]
    pub mod _0019_a_lock_file_of_declarations {}
    #[doc = include_str!("../docs/decisions/0020-message-pack.md")]
    pub mod _0020_message_pack {}
}
