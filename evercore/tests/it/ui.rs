//! What the types refuse. The macros' own messages are pinned in `evercore-derive`.

#[test]
fn what_must_not_be_done_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}
