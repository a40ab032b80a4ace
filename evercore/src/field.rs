//! How a field of a state event gets into the state, where it is not simply set.

/// A collection to which a value can be added, as `#[state(push)]` does it.
#[diagnostic::on_unimplemented(
    message = "`{V}` cannot be pushed into `{Self}`",
    label = "`{Self}` does not take a `{V}`",
    note = "`#[state(push)]` needs a collection in the state, such as `Vec` or `BTreeSet`, whose items are `From<{V}>`",
    note = "use `#[state(extend)]` to add all items of a value, or `#[state(with = path)]` for a function of your own"
)]
pub trait Push<V> {
    /// Adds the value.
    fn push(&mut self, value: V);
}

#[diagnostic::do_not_recommend]
impl<C, V> Push<V> for C
where
    C: IntoIterator<Item: From<V>> + Extend<<C as IntoIterator>::Item>,
{
    fn push(&mut self, value: V) {
        self.extend([value.into()]);
    }
}

/// A collection to which all items of a value can be added, as `#[state(extend)]` does it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be extended by `{V}`",
    label = "`{Self}` does not take the items of a `{V}`",
    note = "`#[state(extend)]` needs two collections, such as `Vec` or `BTreeSet`: the items of the state's are made \
            from the event's by `From`",
    note = "use `#[state(push)]` to add a single value, or `#[state(with = path)]` for a function of your own"
)]
pub trait ExtendBy<V> {
    /// Adds the items of the value.
    fn extend_by(&mut self, values: V);
}

#[diagnostic::do_not_recommend]
impl<C, V> ExtendBy<V> for C
where
    V: IntoIterator,
    C: IntoIterator<Item: From<V::Item>> + Extend<<C as IntoIterator>::Item>,
{
    fn extend_by(&mut self, values: V) {
        self.extend(values.into_iter().map(Into::into));
    }
}

/// What a function of `#[state(with = path)]` returns: nothing, because a failure would be lost.
#[diagnostic::on_unimplemented(
    message = "the function of `#[state(with = path)]` returns `{Self}`, and must return nothing",
    label = "returns `{Self}`",
    note = "it is a `fn(&mut FieldOfState, &FieldOfEvent)`, which changes the field of the state",
    note = "it must not fail: what happened, happened"
)]
pub trait Done {}

impl Done for () {}
