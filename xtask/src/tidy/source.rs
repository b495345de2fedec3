//! Rules about the text of the source: how modules begin and how long they are, what they never say.

use super::subject::{Finding, Subject};

/// More lines than this are told, without failing.
const LONG: usize = 400;
/// More lines than this are too many.
const TOO_LONG: usize = 600;

/// Written by a program, not by hand.
const GENERATED: &str = "ui/src/lib/bindings/";
/// The only file of the interface that knows Tauri, and its own test.
const DOOR: [&str; 2] = [
    "ui/src/lib/backend/tauri.ts",
    "ui/src/lib/backend/tauri.test.ts",
];

/// Unfinished, or a test that does not run. In two halves each, so that this file is none.
const PROMISES: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("#[ign", "ore"),
    concat!("test.sk", "ip"),
    concat!("it.sk", "ip"),
    concat!("describe.sk", "ip"),
    concat!("test.on", "ly"),
    concat!("it.on", "ly"),
    concat!("describe.on", "ly"),
    concat!("test.to", "do"),
    concat!("it.to", "do"),
    concat!("coming ", "soon"),
];

/// Every Rust module opens with what it is for.
pub fn heads(subject: &Subject) -> Vec<Finding> {
    sources(subject, &[".rs"])
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| Finding::at(path, 0, "does not open with //!"))
        .collect()
}

/// No file is too long to be one concept.
pub fn length(subject: &Subject) -> Vec<Finding> {
    lengths(subject)
        .filter(|(_, lines)| *lines > TOO_LONG)
        .map(|(path, lines)| Finding::new(path, format!("has {lines} lines")))
        .collect()
}

/// Files that may hold more than one concept.
pub fn long(subject: &Subject) -> Vec<(&str, usize)> {
    lengths(subject)
        .filter(|(_, lines)| (LONG + 1..=TOO_LONG).contains(lines))
        .collect()
}

fn lengths(subject: &Subject) -> impl Iterator<Item = (&str, usize)> {
    sources(subject, &[".rs", ".ts", ".js", ".svelte", ".css"])
        .map(|(path, text)| (path, text.lines().count()))
}

/// Nothing is promised, nothing is skipped.
pub fn promises(subject: &Subject) -> Vec<Finding> {
    let texts = sources(
        subject,
        &[
            ".rs", ".ts", ".js", ".svelte", ".css", ".html", ".md", ".toml", ".yml", "/run",
        ],
    );
    lines_with(texts, |_, line| {
        PROMISES
            .iter()
            .find(|promise| line.contains(*promise))
            .map(|promise| format!("says {promise}"))
    })
}

/// Clippy knows best where a panic has no reason; nobody tells it to look away but for tests.
pub fn unwraps(subject: &Subject) -> Vec<Finding> {
    let lint = concat!("clippy::unw", "rap_used");
    let product = sources(subject, &[".rs"]).filter(|(path, _)| !of_tests(path));
    lines_with(product, |_, line| {
        let hidden = line.contains(lint) && !line.contains("cfg_attr(test,");
        hidden.then(|| format!("allows {lint}"))
    })
}

/// Nothing that runs on a server or a desk starts a shell.
pub fn shells(subject: &Subject) -> Vec<Finding> {
    let product = sources(subject, &[".rs"]).filter(|(path, _)| {
        let shipped = ["agent/", "crates/", "src-tauri/"];
        shipped.iter().any(|room| path.starts_with(room)) && !of_tests(path)
    });
    lines_with(product, |_, line| {
        [
            "sh",
            "bash",
            "/bin/sh",
            "/bin/bash",
            "cmd",
            "cmd.exe",
            "powershell",
        ]
        .iter()
        .find(|shell| line.contains(&format!("Command::new(\"{shell}\")")))
        .map(|shell| format!("starts {shell}"))
    })
}

/// One file alone of the interface imports Tauri.
pub fn one_door(subject: &Subject) -> Vec<Finding> {
    let needle = concat!("@tauri", "-apps/");
    let interface = sources(subject, &[".ts", ".js", ".svelte"])
        .filter(|(path, _)| path.starts_with("ui/src/") && !DOOR.contains(path));
    lines_with(interface, |_, line| {
        line.contains(needle).then(|| format!("imports {needle}"))
    })
}

/// No folder of one machine, and nobody's home.
pub fn machine(subject: &Subject) -> Vec<Finding> {
    let mut folders = vec![
        concat!("/ro", "ot/").to_owned(),
        concat!("/wo", "rk/").to_owned(),
    ];
    folders.extend(subject.own_folders.iter().cloned());
    lines_with(subject.texts(), |_, line| {
        folders
            .iter()
            .find(|folder| line.contains(folder.as_str()))
            .map(|folder| format!("names {folder}"))
    })
}

/// Paths and texts of the files with one of these endings that somebody wrote.
fn sources<'a>(
    subject: &'a Subject,
    endings: &'a [&str],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    subject.texts().filter(move |(path, _)| {
        endings.iter().any(|ending| path.ends_with(ending)) && !path.starts_with(GENERATED)
    })
}

/// A finding for each line that `complaint` says something about.
fn lines_with<'a>(
    texts: impl Iterator<Item = (&'a str, &'a str)>,
    complaint: impl Fn(&str, &str) -> Option<String>,
) -> Vec<Finding> {
    texts
        .flat_map(|(path, text)| text.lines().enumerate().map(move |line| (path, line)))
        .filter_map(|(path, (index, line))| {
            complaint(path, line).map(|what| Finding::at(path, index, what))
        })
        .collect()
}

/// Whether a file is compiled into tests alone.
fn of_tests(path: &str) -> bool {
    path.starts_with("crates/testkit/")
        || path
            .split('/')
            .any(|part| part == "tests" || part == "tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_module_without_a_head_is_told() {
        let subject = Subject::of(&[("a.rs", "//! For this.\n"), ("b.rs", "use x;\n//! Late.\n")]);
        assert_eq!(told(&heads(&subject)), ["b.rs:1: does not open with //!"]);
    }

    #[test]
    fn length_is_noted_and_then_refused() {
        let lines = |n: usize| "x\n".repeat(n);
        let [fine, noted, refused] = [LONG, TOO_LONG, TOO_LONG + 1].map(lines);
        let subject = Subject::of(&[
            ("fine.rs", &fine),
            ("noted.ts", &noted),
            ("refused.svelte", &refused),
            ("ui/src/lib/bindings/index.ts", &refused),
        ]);
        assert_eq!(long(&subject), [("noted.ts", 600)]);
        assert_eq!(told(&length(&subject)), ["refused.svelte: has 601 lines"]);
    }

    #[test]
    fn every_kind_of_promise_is_told() {
        for promise in PROMISES {
            let text = format!("fine\nnot {promise}\n");
            let subject = Subject::of(&[("ui/a.svelte", &text)]);
            assert_eq!(
                told(&promises(&subject)),
                [format!("ui/a.svelte:2: says {promise}")]
            );
        }
    }

    #[test]
    fn clippy_looks_away_for_tests_only() {
        let bare = concat!("#![allow(clippy::unw", "rap_used)]\n");
        let tested = concat!("#![cfg_attr(test, allow(clippy::unw", "rap_used))]\n");
        let subject = Subject::of(&[
            ("agent/src/a.rs", tested),
            ("agent/src/b.rs", bare),
            ("agent/tests/it/main.rs", bare),
            ("crates/testkit/src/lib.rs", bare),
        ]);
        assert_eq!(
            told(&unwraps(&subject)),
            [concat!("agent/src/b.rs:1: allows clippy::unw", "rap_used")]
        );
    }

    #[test]
    fn a_shell_is_told() {
        let text = "Command::new(\"mariadb-dump\");\nCommand::new(\"sh\").arg(\"-c\");\n";
        let subject = Subject::of(&[("agent/src/a.rs", text), ("tests/e2e/a.rs", text)]);
        assert_eq!(told(&shells(&subject)), ["agent/src/a.rs:2: starts sh"]);
    }

    #[test]
    fn tauri_has_one_door() {
        let text = concat!("import { invoke } from '@tauri", "-apps/api/core';\n");
        let subject = Subject::of(&[
            (DOOR[0], text),
            (DOOR[1], text),
            ("ui/src/lib/jobs/jobs.api.ts", text),
        ]);
        assert_eq!(
            told(&one_door(&subject)),
            [concat!(
                "ui/src/lib/jobs/jobs.api.ts:1: imports @tauri",
                "-apps/"
            )]
        );
    }

    #[test]
    fn a_folder_of_one_machine_is_told() {
        let mut subject = Subject::of(&[("docs/a.md", "see /srv/www\nsee /somebody/at/home/x\n")]);
        assert_eq!(told(&machine(&subject)), [""; 0]);
        subject.own_folders.push("/somebody/at/home/".to_owned());
        assert_eq!(
            told(&machine(&subject)),
            ["docs/a.md:2: names /somebody/at/home/"]
        );
    }
}
