//! Who may use whom, and where packages may come from.

use super::subject::{Finding, Package, Subject};

/// What each package of the workspace may use of the others, outside of its tests.
/// In tests a package may also use the agent and the test kit, but never the window.
const MAY_USE: &[(&str, &[&str])] = &[
    ("backupd-base", &[]),
    ("backupd-policy", &["backupd-base"]),
    ("backupd-protocol", &["backupd-base", "backupd-policy"]),
    ("backupd-archive", &["backupd-base"]),
    ("backupd-storage", &["backupd-base"]),
    ("backupd-registry", &["backupd-base"]),
    ("backupd-vault", &["backupd-base"]),
    (
        "backupd",
        &[
            "backupd-base",
            "backupd-policy",
            "backupd-protocol",
            "backupd-archive",
            "backupd-storage",
        ],
    ),
    (
        "backupd-master",
        &[
            "backupd-base",
            "backupd-policy",
            "backupd-protocol",
            "backupd-archive",
            "backupd-storage",
            "backupd-registry",
            "backupd-vault",
        ],
    ),
    (WINDOW, &["backupd-base", "backupd-master"]),
    ("backupd-testkit", &["backupd-base"]),
    ("xtask", &[]),
    ("bench", &["backupd-testkit"]),
    (
        "demo",
        &[
            "backupd-base",
            "backupd-master",
            "backupd-protocol",
            "backupd-testkit",
        ],
    ),
];

/// The package that is a desktop application; nothing else knows Tauri, and nothing uses it.
const WINDOW: &str = "backupd-desktop";

/// Kept out of a package that says it needs none of it.
const NEVER: &[(&str, &[&str])] = &[
    // Pure Read and Write: neither a runtime nor a network.
    (
        "backupd-archive",
        &["tokio", "hyper", "reqwest", "rustls", "backupd-storage"],
    ),
    ("backupd-base", &["tokio", "hyper", "reqwest", "rustls"]),
    (
        "backupd-policy",
        &["tokio", "hyper", "reqwest", "rustls", "rusqlite"],
    ),
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
const NPM: &str = "https://registry.npmjs.org/";

/// Every edge between packages of the workspace is one that [`MAY_USE`] has.
pub fn edges(subject: &Subject) -> Vec<Finding> {
    let members: Vec<&Package> = subject
        .packages
        .iter()
        .filter(|package| package.source.is_none())
        .collect();
    let is_member = |name: &str| members.iter().any(|member| member.name == name);
    let mut findings = Vec::new();
    for member in &members {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == member.name) else {
            findings.push(Finding::new(
                &member.name,
                "is not in the table of who may use whom",
            ));
            continue;
        };
        for dependency in &member.dependencies {
            let name = dependency.name.as_str();
            let in_tests = dependency.kind.as_deref() == Some("dev");
            let fine = if is_member(name) {
                name != WINDOW && (in_tests || allowed.contains(&name))
            } else if name == "wry" || name.starts_with("tauri") {
                member.name == WINDOW
            } else {
                in_tests
                    || !NEVER
                        .iter()
                        .any(|(of, never)| *of == member.name && never.contains(&name))
            };
            if !fine {
                findings.push(Finding::new(&member.name, format!("may not use {name}")));
            }
        }
    }
    findings
}

/// Everything comes from crates.io and the npm registry.
pub fn sources(subject: &Subject) -> Vec<Finding> {
    let crates = subject.packages.iter().filter_map(|package| {
        let source = package.source.as_deref()?;
        (source != CRATES_IO).then(|| {
            Finding::new(
                format!("{} {}", package.name, package.version),
                format!("comes from {source}"),
            )
        })
    });
    let lock = "ui/package-lock.json";
    let packages = subject.text(lock).into_iter().flat_map(|text| {
        text.lines().enumerate().filter_map(|(index, line)| {
            let from = line.trim().strip_prefix("\"resolved\": \"")?;
            (!from.starts_with(NPM))
                .then(|| Finding::at(lock, index, "comes from elsewhere than the npm registry"))
        })
    });
    crates.chain(packages).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::subject::Dependency, *};

    fn package(name: &str, uses: &[(&str, Option<&str>)]) -> Package {
        Package {
            name: name.to_owned(),
            dependencies: uses
                .iter()
                .map(|(name, kind)| Dependency {
                    name: (*name).to_owned(),
                    kind: kind.map(str::to_owned),
                })
                .collect(),
            ..Package::default()
        }
    }

    fn told(packages: Vec<Package>) -> Vec<String> {
        let subject = Subject {
            packages,
            ..Subject::default()
        };
        edges(&subject).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn an_edge_that_the_house_does_not_have_is_told() {
        let base = || package("backupd-base", &[]);
        let kit = || package("backupd-testkit", &[]);
        let fine = package(
            "backupd-archive",
            &[
                ("backupd-base", None),
                ("zstd", None),
                ("backupd-testkit", Some("dev")),
            ],
        );
        assert_eq!(told(vec![base(), kit(), fine]), [""; 0]);

        let wrong = package(
            "backupd-archive",
            &[
                ("backupd-testkit", None),
                ("tokio", None),
                ("tauri", Some("dev")),
            ],
        );
        assert_eq!(
            told(vec![base(), kit(), wrong]),
            [
                "backupd-archive: may not use backupd-testkit",
                "backupd-archive: may not use tokio",
                "backupd-archive: may not use tauri",
            ]
        );
        assert_eq!(
            told(vec![package("newcomer", &[])]),
            ["newcomer: is not in the table of who may use whom"]
        );
    }

    #[test]
    fn the_window_is_used_by_nobody_even_in_tests() {
        let window = package(WINDOW, &[("tauri", None)]);
        let user = package("backupd-master", &[(WINDOW, Some("dev"))]);
        assert_eq!(
            told(vec![window, user]),
            ["backupd-master: may not use backupd-desktop"]
        );
    }

    #[test]
    fn a_package_from_elsewhere_is_told() {
        let mut subject = Subject::of(&[(
            "ui/package-lock.json",
            "{\n \"resolved\": \"https://registry.npmjs.org/a\",\n \"resolved\": \"https://mirror/b\"\n}",
        )]);
        for source in [CRATES_IO, "git+https://example.org/x"] {
            subject.packages.push(Package {
                name: "x".to_owned(),
                source: Some(source.to_owned()),
                ..Package::default()
            });
        }
        let told: Vec<String> = sources(&subject).iter().map(Finding::to_string).collect();
        assert_eq!(
            told,
            [
                "x : comes from git+https://example.org/x",
                "ui/package-lock.json:3: comes from elsewhere than the npm registry",
            ]
        );
    }
}
