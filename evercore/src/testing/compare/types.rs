//! Types as they are written, in JSON.

/// Whether values that were stored as `old` are read as `new`, as far as that is certain.
pub(super) fn reads(new: &str, old: &str) -> bool {
    if new == old {
        return true;
    }
    if let Some(new) = option(new) {
        return reads(new, option(old).unwrap_or(old));
    }
    is_text(new) && is_text(old) || number(old).zip(number(new)).is_some_and(|(old, new)| new.holds(old))
}

fn option(ty: &str) -> Option<&str> {
    let inner = ["Option<", "std::option::Option<", "core::option::Option<"];
    inner.iter().find_map(|start| ty.strip_prefix(start))?.strip_suffix('>')
}

fn is_text(ty: &str) -> bool {
    matches!(ty, "String" | "Box<str>" | "Arc<str>" | "Rc<str>" | "Cow<'static, str>")
}

/// So many bits are there for a whole number, and whether it may be below zero.
#[derive(Clone, Copy)]
struct Number {
    bits: u32,
    is_signed: bool,
}

impl Number {
    fn holds(self, other: Self) -> bool {
        match (self.is_signed, other.is_signed) {
            (true, true) | (false, false) => self.bits >= other.bits,
            (true, false) => self.bits > other.bits,
            (false, true) => false,
        }
    }
}

fn number(ty: &str) -> Option<Number> {
    let (is_signed, bits) = match (ty.strip_prefix('u'), ty.strip_prefix('i')) {
        (Some(bits), _) => (false, bits),
        (_, Some(bits)) => (true, bits),
        _ => return None,
    };
    let bits = match bits {
        "size" => 64,
        "8" | "16" | "32" | "64" | "128" => bits.parse().ok()?,
        _ => return None,
    };
    Some(Number { bits, is_signed })
}
