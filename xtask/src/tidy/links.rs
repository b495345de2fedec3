//! Links between documents: the file is there, and so is the heading.

use super::subject::{Finding, Subject};

/// Every relative link of every Markdown file leads somewhere.
pub fn check(subject: &Subject) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in subject.texts().filter(|(path, _)| path.ends_with(".md")) {
        for (index, target) in links(text) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let leads_to = match file {
                "" => Some(path.to_owned()),
                file => joined(path, file).filter(|file| exists(subject, file)),
            };
            let Some(leads_to) = leads_to else {
                findings.push(Finding::at(path, index, format!("{target} is not there")));
                continue;
            };
            let has_heading = |text: &str| headings(text).any(|other| slug(other) == heading);
            if !heading.is_empty() && !subject.text(&leads_to).is_some_and(has_heading) {
                findings.push(Finding::at(
                    path,
                    index,
                    format!("{leads_to} has no heading #{heading}"),
                ));
            }
        }
    }
    findings
}

/// The lines that are prose, numbered from 0: none of a fenced block.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Targets of links and pictures that lead to files of this repository.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(index, line)| {
        line.split("](").skip(1).filter_map(move |rest| {
            let target = rest.split([')', ' ']).next()?;
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            (!elsewhere).then_some((index, target))
        })
    })
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    prose(text).filter_map(|(_, line)| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then(|| heading.strip_prefix(' '))?
    })
}

/// The name of a heading in links, as GitHub makes it.
fn slug(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// `target` as seen from the folder of the file `from`; nothing if it leads out of the repository.
fn joined(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn exists(subject: &Subject, path: &str) -> bool {
    let folder = format!("{path}/");
    subject
        .files
        .iter()
        .any(|file| file.path == path || file.path.starts_with(&folder) || path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_told() {
        let subject = Subject::of(&[
            (
                "docs/guide.md",
                "[a](format.md) [b](../README.md#the-two-commands) [c](https://x.org/gone.md)\n\
                 ![d](pictures/window.png) [e](decisions/)\n\
                 ```\n[no link](nowhere.md)\n```\n\
                 [f](gone.md) [g](format.md#gone) [h](#here) [i](../../out.md)\n\
                 ## Here\n",
            ),
            ("docs/format.md", ""),
            ("docs/pictures/window.png", ""),
            ("docs/decisions/0001.md", ""),
            ("README.md", "# Backupd\n## The two `commands`!\n"),
        ]);
        let told: Vec<String> = check(&subject).iter().map(Finding::to_string).collect();
        assert_eq!(
            told,
            [
                "docs/guide.md:6: gone.md is not there",
                "docs/guide.md:6: docs/format.md has no heading #gone",
                "docs/guide.md:6: ../../out.md is not there",
            ]
        );
    }
}
