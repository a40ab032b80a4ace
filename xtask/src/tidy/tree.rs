//! The files of the repository, by their paths.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use crate::{Failure, Result};

/// All files that are or could be committed. Paths are relative to the top and have slashes; what is not text
/// counts as empty.
#[derive(Debug)]
pub(super) struct Tree(BTreeMap<String, String>);

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let paths = match listed_by_git(root) {
            Some(paths) => paths,
            None => found_on_disk(root, "")?,
        };
        let mut files = BTreeMap::new();
        for path in paths {
            let place = root.join(&path);
            if place.is_file() {
                let bytes = fs::read(&place).map_err(Failure::at(&place))?;
                files.insert(path, String::from_utf8(bytes).unwrap_or_default());
            }
        }
        Ok(Self(files))
    }

    /// Path and text of every file.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Those whose name ends like this.
    pub(super) fn ending(&self, end: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| path.ends_with(end))
    }

    /// The text of one file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

/// `None` where git, or its directory, is missing.
fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let output = git.output().ok().filter(|output| output.status.success())?;
    let list = String::from_utf8(output.stdout).ok()?;
    Some(list.split_terminator('\0').map(str::to_owned).collect())
}

fn found_on_disk(root: &Path, below: &str) -> Result<Vec<String>> {
    let directory = root.join(below);
    let mut paths = Vec::new();
    for entry in fs::read_dir(&directory).map_err(Failure::at(&directory))? {
        let entry = entry.map_err(Failure::at(&directory))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if entry.path().is_file() {
            paths.push(path);
        } else if !["target", ".git"].contains(&name.as_str()) {
            paths.extend(found_on_disk(root, &path)?);
        }
    }
    Ok(paths)
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Tree {
    fn from(files: [(&str, &str); N]) -> Self {
        Self(files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Tree, found_on_disk};
    use crate::run::root;

    #[test]
    fn the_repository_is_found_with_and_without_git() {
        let tree = Tree::read(&root()).expect("the repository can be read");
        assert!(tree.text("xtask/src/tidy/tree.rs").is_some_and(|text| text.contains("fn found_on_disk")));
        let paths = found_on_disk(&root(), "").expect("the repository can be read");
        assert!(paths.iter().any(|path| path == "xtask/src/tidy/tree.rs"));
        assert!(!paths.iter().any(|path| path.starts_with("target/") || path.starts_with(".git/")));
    }
}
