//! The licences of everything that is built into the product, against the list cargo-deny has too.

use serde::Deserialize;

use super::subject::{Finding, Subject};

/// The one list, which cargo-deny reads as well.
pub const LIST: &str = ".cargo/deny.toml";
const NPM_LOCK: &str = "ui/package-lock.json";
/// Packages that name their licence in its own file only, as it was read there.
const READ: [(&str, &str); 1] = [("node_modules/svelte-toolbelt", "MIT")];

/// Every crate, and every package of the interface that reaches the user, has an allowed licence.
pub fn check(subject: &Subject) -> Vec<Finding> {
    let allowed = match allowed(subject) {
        Ok(allowed) => allowed,
        Err(what) => return vec![Finding::new(LIST, what)],
    };
    let crates = subject
        .packages
        .iter()
        .filter(|package| package.source.is_some())
        .map(|package| {
            let name = format!("{} {}", package.name, package.version);
            (name, package.license.clone())
        });
    let npm = match shipped(subject) {
        Ok(npm) => npm,
        Err(what) => return vec![Finding::new(NPM_LOCK, what)],
    };
    crates
        .chain(npm)
        .filter_map(|(package, licence)| match licence {
            None => Some(Finding::new(package, "says no licence")),
            Some(licence) if permits(&licence, &allowed) => None,
            Some(licence) => Some(Finding::new(package, format!("is under {licence}"))),
        })
        .collect()
}

fn allowed(subject: &Subject) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Deny {
        licenses: Licenses,
    }
    #[derive(Deserialize)]
    struct Licenses {
        allow: Vec<String>,
    }
    let text = subject.text(LIST).ok_or("is not there")?;
    let deny: Deny = toml::from_str(text).map_err(|error| error.to_string())?;
    Ok(deny.licenses.allow)
}

/// The interface's packages but for those that only build it, and their licences.
fn shipped(subject: &Subject) -> Result<Vec<(String, Option<String>)>, String> {
    #[derive(Deserialize)]
    struct Lock {
        packages: std::collections::BTreeMap<String, Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        license: Option<String>,
        #[serde(default)]
        dev: bool,
    }
    let text = subject.text(NPM_LOCK).ok_or("is not there")?;
    let lock: Lock = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(lock
        .packages
        .into_iter()
        .filter(|(path, entry)| !path.is_empty() && !entry.dev)
        .map(|(path, entry)| {
            let read = READ.iter().find(|(package, _)| *package == path);
            let licence = entry
                .license
                .or(read.map(|(_, licence)| (*licence).to_owned()));
            (path, licence)
        })
        .collect())
}

/// Whether an SPDX expression can be met with the allowed licences alone. `AND` binds closer than
/// `OR`; a slash is the old way to write `OR`; an exception (`WITH`) only adds to what is permitted.
fn permits(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    either(&mut words, allowed) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words, allowed: &[String]) -> bool {
    let mut met = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= both(words, allowed);
    }
    met
}

fn both(words: &mut Words, allowed: &[String]) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words, allowed: &[String]) -> bool {
    let met = match words.next() {
        Some("(") => {
            let met = either(words, allowed);
            words.next_if_eq(&")").is_some() && met
        }
        Some(licence) => allowed.iter().any(|other| other == licence),
        None => false,
    };
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    met
}

#[cfg(test)]
mod tests {
    use super::{super::subject::Package, *};

    #[test]
    fn an_expression_is_met_or_not() {
        let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned()];
        for met in [
            "MIT",
            "MIT OR GPL-3.0-only",
            "GPL-2.0/MIT",
            "Apache-2.0 WITH LLVM-exception",
            "(GPL-3.0-only OR MIT) AND Apache-2.0",
            "GPL-3.0-only AND Zlib OR MIT",
        ] {
            assert!(permits(met, &allowed), "{met}");
        }
        for not in [
            "",
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "(MIT OR Apache-2.0) AND Zlib",
            "(MIT",
            "MIT Apache-2.0",
        ] {
            assert!(!permits(not, &allowed), "{not}");
        }
    }

    #[test]
    fn a_licence_off_the_list_is_told() {
        let mut subject = Subject::of(&[
            (LIST, "[licenses]\nallow = ['MIT']\n"),
            (
                NPM_LOCK,
                r#"{"packages": {
                    "": {},
                    "node_modules/shipped": {"license": "AGPL-3.0"},
                    "node_modules/builds": {"license": "AGPL-3.0", "dev": true},
                    "node_modules/svelte-toolbelt": {}
                }}"#,
            ),
        ]);
        for (name, licence) in [
            ("good", Some("MIT")),
            ("bad", Some("SSPL-1.0")),
            ("mute", None),
        ] {
            subject.packages.push(Package {
                name: name.to_owned(),
                version: "1.0.0".to_owned(),
                source: Some("registry".to_owned()),
                license: licence.map(str::to_owned),
                dependencies: Vec::new(),
            });
        }
        let told: Vec<String> = check(&subject).iter().map(Finding::to_string).collect();
        assert_eq!(
            told,
            [
                "bad 1.0.0: is under SSPL-1.0",
                "mute 1.0.0: says no licence",
                "node_modules/shipped: is under AGPL-3.0",
            ]
        );
    }
}
