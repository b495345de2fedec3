//! `backupd scan`.

use std::path::PathBuf;

use backupd_base::{Context, Result};
use backupd_protocol::FoundSite;
use clap::Args;

use super::{Client, Output, term};
use crate::scanner;

/// Find the WordPress sites on this server.
///
/// Reads their configuration without running it, and asks their databases for title and address.
/// Nothing is changed, and no password is shown.
#[derive(Args)]
#[command(after_help = "\
Examples:
  backupd scan                    below /var/www
  backupd scan /srv/sites         somewhere else
  backupd scan --json | jq '.[].path'")]
pub(super) struct Scan {
    /// Where to look; below /var/www when not said.
    base: Option<PathBuf>,
}

impl Scan {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<()> {
        let (path, base) = match self.base {
            None => ("/scan".to_owned(), scanner::DEFAULT_BASE.into()),
            Some(base) => {
                let base = std::path::absolute(&base)
                    .with_context(|| format!("find {}", base.display()))?;
                let query = query(&base.to_string_lossy());
                (format!("/scan?base={query}"), base)
            }
        };
        let mut line = term::Line::new(!output.json);
        line.show("scanning …");
        let sites: Vec<FoundSite> = client.get(&path).await?;
        line.clear();
        output.print(&sites, |sites| human(sites, &base));
        Ok(())
    }
}

fn human(sites: &[FoundSite], base: &std::path::Path) -> String {
    if sites.is_empty() {
        return format!("No WordPress site below {}.", base.display());
    }
    let row = |site: &FoundSite| {
        vec![
            site.name.clone(),
            site.path.clone(),
            site.url.clone().unwrap_or_else(|| "–".into()),
            term::size(site.content_bytes),
            if site.problems.is_empty() {
                "ready".into()
            } else {
                site.problems.join(" ")
            },
        ]
    };
    let rows: Vec<_> = sites.iter().map(row).collect();
    term::table(&["SITE", "PATH", "ADDRESS", "FILES", "STATE"], &rows)
}

/// Percent-encodes a value of a query (RFC 3986, section 2).
fn query(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    text.bytes()
        .map(|b| match plain(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_path_survives_the_query() {
        assert_eq!(super::query("/var/w w/ä&?"), "/var/w%20w/%C3%A4%26%3F");
    }
}
