//! The top of the repository: exactly the rooms of the house, and dotfiles.

use std::collections::BTreeSet;

use super::subject::{Finding, Subject};

const TOP: [&str; 13] = [
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "agent",
    "crates",
    "docs",
    "icons",
    "packaging",
    "src-tauri",
    "tauri.conf.json",
    "tests",
    "ui",
    "xtask",
];

/// Nothing else is at the top, and nothing of it is absent.
pub fn top_level(subject: &Subject) -> Vec<Finding> {
    let there: BTreeSet<&str> = subject
        .files
        .iter()
        .filter_map(|file| file.path.split('/').next())
        .collect();
    let added = there
        .iter()
        .filter(|name| !TOP.contains(name) && !name.starts_with('.'))
        .map(|name| Finding::new(*name, "does not belong at the top"));
    let absent = TOP
        .iter()
        .filter(|name| !there.contains(*name))
        .map(|name| Finding::new(*name, "belongs at the top and is not there"));
    added.chain(absent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_or_absent_is_told() {
        let all: Vec<(&str, &str)> = TOP.iter().map(|name| (*name, "")).collect();
        assert_eq!(top_level(&Subject::of(&all)), []);

        let mut other = all[1..].to_vec();
        other.extend([("scripts/go", ""), (".editorconfig", "")]);
        assert_eq!(
            top_level(&Subject::of(&other)),
            [
                Finding::new("scripts", "does not belong at the top"),
                Finding::new("Cargo.lock", "belongs at the top and is not there"),
            ]
        );
    }
}
