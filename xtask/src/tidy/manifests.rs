//! What the manifests say.

use super::Tree;
use crate::manifest::{Dependency, Manifest};

/// A dev-dependency by path alone is left out when a crate is published. One with a version would need the
/// other crate to be there already, and these depend on each other.
pub(super) fn own_dev_dependencies_have_no_version(tree: &Tree) -> Vec<String> {
    let wrong = dependencies(tree, "dev-dependencies")
        .filter(|(_, dependency)| dependency.name.starts_with("evercore") && dependency.has_version());
    wrong
        .map(|(path, Dependency { line, name, .. })| {
            format!("{path}:{line}: say `{name} = {{ path = \"../{name}\" }}`, without a version")
        })
        .collect()
}

/// The core knows no engine, and engines know the core alone.
pub(super) fn crates_depend_on_what_they_may(tree: &Tree) -> Vec<String> {
    let wrong = dependencies(tree, "dependencies").filter(|(path, dependency)| {
        let allowed = match path.trim_end_matches("/Cargo.toml") {
            "evercore" => "evercore-derive",
            "evercore-derive" => "",
            engine if engine.starts_with("evercore-") && !engine.contains('/') => "evercore",
            _ => return false,
        };
        dependency.name.starts_with("evercore") && dependency.name != allowed
    });
    wrong
        .map(|(path, Dependency { line, name, .. })| format!("{path}:{line}: must not depend on {name}"))
        .collect()
}

/// Tasks are there at once, and when the crates do not compile that they are for.
pub(super) fn tasks_need_no_own_crate_by_default(tree: &Tree) -> Vec<String> {
    let wrong = dependencies(tree, "dependencies").filter(|(path, dependency)| {
        *path == "xtask/Cargo.toml" && dependency.name.starts_with("evercore") && !dependency.is_optional()
    });
    let defaults =
        tree.text("xtask/Cargo.toml").and_then(|text| Manifest::new(text).get("features", "default"));
    wrong
        .map(|(path, Dependency { line, name, .. })| format!("{path}:{line}: {name} must be optional"))
        .chain(defaults.map(|_| "xtask/Cargo.toml: no feature may be a default".to_owned()))
        .collect()
}

/// Lints are chosen once, for all crates.
pub(super) fn lints_are_inherited(tree: &Tree) -> Vec<String> {
    let members = tree.ending("/Cargo.toml").filter(|(path, _)| path.matches('/').count() == 1);
    let wrong = members.filter(|(_, text)| Manifest::new(text).get("lints", "workspace") != Some("true"));
    wrong.map(|(path, _)| format!("{path}: say `workspace = true` in [lints]")).collect()
}

fn dependencies<'a>(tree: &'a Tree, kind: &str) -> impl Iterator<Item = (&'a str, Dependency<'a>)> {
    tree.ending("Cargo.toml").flat_map(move |(path, text)| {
        Manifest::new(text).dependencies(kind).into_iter().map(move |dependency| (path, dependency))
    })
}

#[cfg(test)]
mod tests {
    use super::{
        Tree, crates_depend_on_what_they_may, lints_are_inherited, own_dev_dependencies_have_no_version,
        tasks_need_no_own_crate_by_default,
    };

    #[test]
    fn an_own_dev_dependency_with_a_version_is_found() {
        let tree = Tree::from([(
            "evercore/Cargo.toml",
            "[dependencies]\nevercore-derive.workspace = true\n[dev-dependencies]\n\
             evercore-memory.workspace = true\nevercore = { path = \"\", version = \"1\" }\n\
             evercore-sqlite = { path = \"\" }\ntokio.workspace = true\n",
        )]);
        assert_eq!(
            own_dev_dependencies_have_no_version(&tree),
            [
                "evercore/Cargo.toml:4: say `evercore-memory = { path = \"../evercore-memory\" }`, without a version",
                "evercore/Cargo.toml:5: say `evercore = { path = \"../evercore\" }`, without a version",
            ]
        );
    }

    #[test]
    fn a_dependency_in_the_wrong_direction_is_found() {
        let tree = Tree::from([
            (
                "evercore/Cargo.toml",
                "[dependencies]\nevercore-derive.workspace = true\nevercore-memory.workspace = true\n",
            ),
            ("evercore-derive/Cargo.toml", "[dependencies]\nevercore.workspace = true\n"),
            (
                "evercore-sqlite/Cargo.toml",
                "[dependencies]\nevercore.workspace = true\nevercore-memory.workspace = true\n\
                 [dev-dependencies]\nevercore-memory = { path = \"\" }\n",
            ),
            ("examples/Cargo.toml", "[dependencies]\nevercore-sqlite.workspace = true\n"),
        ]);
        assert_eq!(
            crates_depend_on_what_they_may(&tree),
            [
                "evercore-derive/Cargo.toml:2: must not depend on evercore",
                "evercore-sqlite/Cargo.toml:3: must not depend on evercore-memory",
                "evercore/Cargo.toml:3: must not depend on evercore-memory",
            ]
        );
    }

    #[test]
    fn a_crate_that_every_task_needs_is_found() {
        let optional = "evercore = { workspace = true, optional = true }";
        let good = format!("[features]\nload = []\n[dependencies]\n{optional}\n");
        assert!(
            tasks_need_no_own_crate_by_default(&Tree::from([("xtask/Cargo.toml", good.as_str())])).is_empty()
        );
        let bad = format!(
            "[features]\ndefault = []\n[dependencies]\n{optional}\nevercore-sqlite.workspace = true\n"
        );
        assert_eq!(
            tasks_need_no_own_crate_by_default(&Tree::from([("xtask/Cargo.toml", bad.as_str())])),
            [
                "xtask/Cargo.toml:5: evercore-sqlite must be optional",
                "xtask/Cargo.toml: no feature may be a default"
            ]
        );
    }

    #[test]
    fn a_crate_with_lints_of_its_own_is_found() {
        let tree = Tree::from([
            ("Cargo.toml", "[workspace]"),
            ("evercore/Cargo.toml", "[lints]\nworkspace = true\n"),
            ("examples/Cargo.toml", "[package]\nname = \"examples\"\n"),
        ]);
        assert_eq!(lints_are_inherited(&tree), ["examples/Cargo.toml: say `workspace = true` in [lints]"]);
    }
}
