//! The rules of the house that no compiler knows: what they are, why, and where one is broken.
//!
//! Each rule is a small check of its own over the text of the files or what cargo knows of the
//! packages. Formatting, lints and types are the business of rustfmt, clippy, ESLint and svelte-check.

mod dependencies;
mod layout;
mod licences;
mod links;
mod source;
mod subject;

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::checkout::Checkout;
use subject::{Finding, Subject};

/// One rule of the house.
struct Rule {
    name: &'static str,
    /// Why it is one: a line that is printed where it is broken.
    why: &'static str,
    check: fn(&Subject) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "top level",
        why: "somebody new finds every room from the top, and no room is lost in a heap",
        check: layout::top_level,
    },
    Rule {
        name: "edges",
        why: "a crate that knows only what it must can be read, tested and replaced alone",
        check: dependencies::edges,
    },
    Rule {
        name: "sources",
        why: "what anybody can build again comes from the public registries alone",
        check: dependencies::sources,
    },
    Rule {
        name: "licences",
        why: "what is shipped may be shipped: .cargo/deny.toml has the list",
        check: licences::check,
    },
    Rule {
        name: "one door",
        why: "the interface runs in tests and in a browser, since one file alone knows Tauri",
        check: source::one_door,
    },
    Rule {
        name: "heads",
        why: "a module that says what it is for, and what not, is found and kept to its purpose",
        check: source::heads,
    },
    Rule {
        name: "length",
        why: "a file holds one concept; over 600 lines it holds several",
        check: source::length,
    },
    Rule {
        name: "promises",
        why: "what is here works; what does not is an issue, and not in the code",
        check: source::promises,
    },
    Rule {
        name: "unwrap",
        why: "outside of tests `expect` states why it cannot fail; clippy sees to it and is not told off",
        check: source::unwraps,
    },
    Rule {
        name: "no shell",
        why: "an argument that no shell reads cannot be a command",
        check: source::shells,
    },
    Rule {
        name: "links",
        why: "documents that point nowhere are not trusted where they are right",
        check: links::check,
    },
    Rule {
        name: "one machine",
        why: "what names somebody's folders works on that machine only",
        check: source::machine,
    },
];

/// Checks every rule and prints where one is broken.
///
/// # Errors
/// When one is, or the checkout cannot be read.
pub fn run(checkout: &Checkout) -> Result<()> {
    let start = Instant::now();
    let subject = Subject::read(checkout)?;
    let mut broken = 0;
    for rule in RULES {
        let findings = (rule.check)(&subject);
        if !findings.is_empty() {
            println!("{}: {}", rule.name, rule.why);
        }
        for finding in &findings {
            println!("  {finding}");
        }
        broken += findings.len();
    }
    for (path, lines) in source::long(&subject) {
        println!("note: {path} has {lines} lines; does it hold one concept?");
    }
    ensure!(broken == 0, "{broken} places break a rule of the house");
    println!(
        "tidy: {} rules hold in {} files ({:.1} s)",
        RULES.len(),
        subject.files.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
