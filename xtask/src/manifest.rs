//! The little that the tasks need to know of a `Cargo.toml`. It has to be written as this workspace writes
//! its manifests: one entry a line, no quoted keys.

/// The entries of a manifest.
#[derive(Debug)]
pub(crate) struct Manifest<'a>(Vec<Entry<'a>>);

/// `key = value`, and the section in which it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) line: usize,
    section: &'a str,
    key: &'a str,
    value: &'a str,
}

/// One thing that is said of a dependency: `evercore.workspace = true` says `workspace = true`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dependency<'a> {
    pub(crate) line: usize,
    pub(crate) name: &'a str,
    attribute: &'a str,
    value: &'a str,
}

impl<'a> Manifest<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut section = "";
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name;
            } else if let Some((key, value)) = line.split_once('=')
                && !line.starts_with('#')
            {
                entries.push(Entry { line: index + 1, section, key: key.trim(), value: value.trim() });
            }
        }
        Self(entries)
    }

    /// The value of an entry.
    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&'a str> {
        self.0.iter().find(|entry| entry.section == section && entry.key == key).map(|entry| entry.value)
    }

    /// The names of the features.
    pub(crate) fn features(&self) -> Vec<&'a str> {
        self.0.iter().filter(|entry| entry.section == "features").map(|entry| entry.key).collect()
    }

    /// What is said of the dependencies of a kind: `dependencies`, `dev-dependencies`.
    pub(crate) fn dependencies(&self, kind: &str) -> Vec<Dependency<'a>> {
        self.0.iter().filter_map(|entry| entry.as_dependency(kind)).collect()
    }
}

impl<'a> Entry<'a> {
    fn as_dependency(self, kind: &str) -> Option<Dependency<'a>> {
        let Self { line, section, key, value } = self;
        // `[target.'cfg(unix)'.dependencies]` is a section of the same kind.
        let (before, after) = section.rsplit_once(kind)?;
        if !(before.is_empty() || before.ends_with('.')) {
            return None;
        }
        let (name, attribute) = match after.strip_prefix('.') {
            Some(name) => (name, key),
            None if after.is_empty() => key.split_once('.').unwrap_or((key, "")),
            None => return None,
        };
        Some(Dependency { line, name, attribute, value })
    }
}

impl Dependency<'_> {
    /// Whether it is there with a feature alone.
    pub(crate) fn is_optional(&self) -> bool {
        self.value.contains("optional = true")
    }

    /// Whether it is said to have a version, by itself or by the workspace.
    pub(crate) fn has_version(&self) -> bool {
        let words = ["version", "workspace"];
        words.contains(&self.attribute)
            || self.value.starts_with('"') && self.attribute.is_empty()
            || words.iter().any(|word| self.value.contains(&format!("{word} =")))
    }
}

#[cfg(test)]
mod tests {
    use super::Manifest;

    const MANIFEST: &str = r#"
[package]
name = "a"

[features]
default = ["one"]
# two = []
one = ["dep:b"]

[dependencies]
b = "1"
c.workspace = true
d = { path = "../d" }

[dev-dependencies.e]
path = "../e"
version = "1"

[target.'cfg(unix)'.dependencies]
f = { version = "1" }
"#;

    #[test]
    fn dependencies_in_every_way_of_writing() {
        let manifest = Manifest::new(MANIFEST);
        let found = |kind| -> Vec<(&str, bool)> {
            manifest.dependencies(kind).iter().map(|found| (found.name, found.has_version())).collect()
        };
        assert_eq!(found("dependencies"), [("b", true), ("c", true), ("d", false), ("f", true)]);
        assert_eq!(found("dev-dependencies"), [("e", false), ("e", true)]);
    }

    #[test]
    fn features_and_values() {
        let manifest = Manifest::new(MANIFEST);
        assert_eq!(manifest.features(), ["default", "one"]);
        assert_eq!(manifest.get("package", "name"), Some("\"a\""));
        assert_eq!(manifest.get("package", "version"), None);
    }
}
