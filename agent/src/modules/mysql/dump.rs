//! A dump by the vendor's tool, as a stream. Nothing of it is trusted before [`Dump::finish`].

use std::{
    collections::BTreeSet,
    io::{self, Read},
    path::Path,
    process::ChildStdout,
};

use backupd_base::{Code, Context as _, Error, Result};

use super::{
    Access,
    access::OptionFile,
    schema::{Privileges, Schema},
};
use crate::modules::tool::{Limits, Running, Tool};

/// The dump programs, the vendor's present name first.
pub(crate) const DUMPERS: &[&str] = &["mariadb-dump", "mysqldump"];
/// The last line of a dump that came to its end.
const TRAILER: &[u8] = b"-- Dump completed";
/// So much of the beginning of a line is looked at.
const LINE_START: usize = 300;

/// A dump under way: read it to its end, then [`Dump::finish`] it.
#[derive(Debug)]
pub struct Dump {
    running: Running,
    stdout: ChildStdout,
    lines: Lines,
    before: Schema,
    ignored: Vec<String>,
    warnings: Vec<String>,
    tool_version: String,
    // Removed when the dump ends.
    _options: OptionFile,
}

/// What a finished dump is.
#[derive(Debug, Clone)]
pub struct Dumped {
    /// The schema it holds.
    pub schema: Schema,
    /// Tables of other sites that share the database, left out.
    pub ignored: Vec<String>,
    /// Tables whose rows are not of one moment.
    pub not_transactional: Vec<String>,
    /// What did not fail it but must be said.
    pub warnings: Vec<String>,
    /// Version of the vendor's tool.
    pub tool_version: String,
}

impl Dump {
    /// Starts a dump of all tables but those `ignores` says (another site's in the same
    /// database). `folder` is private to this process.
    ///
    /// # Errors
    /// The tool is missing, or the database does not answer.
    pub fn start(
        access: &Access,
        folder: &Path,
        limits: &Limits,
        ignores: impl FnOnce(&Schema) -> Vec<String>,
    ) -> Result<Self> {
        let tool = Tool::find(DUMPERS)?;
        let tool_version = tool.version()?;
        let before = Schema::read(access, folder)?;
        let privileges = Privileges::read(access, folder)?;
        let ignored = ignores(&before);
        let options = access.option_file(folder)?;
        let mut command = options.command(&tool);
        command.args([
            "--single-transaction",
            "--quick",
            "--routines",
            "--hex-blob",
            "--no-tablespaces",
            "--comments",
            "--default-character-set=utf8mb4",
            "--max-allowed-packet=1G",
        ]);
        if !tool_version.contains("MariaDB") {
            command.args(["--set-gtid-purged=OFF", "--column-statistics=0"]);
        }
        let mut warnings = Vec::new();
        for (granted, option, what) in [
            (privileges.triggers, "triggers", "TRIGGER"),
            (privileges.events, "events", "EVENT"),
        ] {
            if granted {
                command.arg(format!("--{option}"));
            } else {
                command.arg(format!("--skip-{option}"));
                warnings.push(format!(
                    "The database user {} lacks the privilege {what}: {option} are not in the dump.",
                    access.user
                ));
            }
        }
        for table in &ignored {
            command.arg(format!("--ignore-table={}.{table}", access.database));
        }
        command.arg("--").arg(&access.database);
        let mut running = Running::start(command, limits)?;
        // It reads nothing.
        drop(running.stdin());
        let stdout = running.stdout().expect("standard output is taken once");
        Ok(Self {
            running,
            stdout,
            lines: Lines::default(),
            before,
            ignored,
            warnings,
            tool_version,
            _options: options,
        })
    }

    /// Waits for the tool and checks that the dump is whole: status, trailer, and the same tables
    /// before, in and after it.
    ///
    /// # Errors
    /// `Tool` when the tool failed or the dump is not whole; `Conflict` when a table changed its
    /// shape meanwhile; `Cancelled`.
    pub fn finish(self, access: &Access, folder: &Path) -> Result<Dumped> {
        let what = || format!("dump database {}", access.database);
        // Its end is known by its pipe: dropped first, a tool that still writes would not end.
        drop(self.stdout);
        self.running.finish().with_context(what)?;
        drop(self._options);
        let tables = self.lines.end().with_context(what)?;
        let after = Schema::read(access, folder).with_context(what)?;
        let made_meanwhile = self
            .before
            .check_dump(&after, &tables, &self.ignored)
            .with_context(what)?;
        let mut warnings = self.warnings;
        warnings.extend(made_meanwhile);
        let not_transactional: Vec<_> = self
            .before
            .tables
            .iter()
            .filter(|t| !t.is_transactional() && !self.ignored.contains(&t.name))
            .map(|t| t.name.clone())
            .collect();
        if !not_transactional.is_empty() {
            warnings.push(format!(
                "Tables that are not InnoDB may hold rows of different moments: {}.",
                not_transactional.join(", ")
            ));
        }
        Ok(Dumped {
            schema: self.before,
            ignored: self.ignored,
            not_transactional,
            warnings,
            tool_version: self.tool_version,
        })
    }
}

impl Read for Dump {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.stdout.read(buffer)?;
        self.lines.take(&buffer[..n]);
        Ok(n)
    }
}

/// Looks at the beginning of every line as the dump goes by. Rows cannot be mistaken for it: the
/// tool writes line ends inside of them as `\n`.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    /// The last line that was not empty.
    last: Vec<u8>,
    tables: BTreeSet<String>,
}

impl Lines {
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.extend(&bytes[..end]);
            self.line_ends();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = LINE_START.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn line_ends(&mut self) {
        if let Some(rest) = self.line.strip_prefix(b"CREATE TABLE `") {
            self.tables.extend(quoted(rest));
        }
        if !self.line.is_empty() {
            std::mem::swap(&mut self.last, &mut self.line);
            self.line.clear();
        }
    }

    /// The tables seen, when the trailer was the last line.
    fn end(mut self) -> Result<BTreeSet<String>> {
        self.line_ends();
        if self.last.starts_with(TRAILER) {
            Ok(self.tables)
        } else {
            let why = "the dump ends without its closing line, so it is not whole";
            Err(Error::new(Code::Tool, why))
        }
    }
}

/// A name up to its closing backtick; a doubled one is part of it.
fn quoted(mut rest: &[u8]) -> Option<String> {
    let mut name = Vec::new();
    loop {
        let end = memchr::memchr(b'`', rest)?;
        name.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        if rest.first() != Some(&b'`') {
            return String::from_utf8(name).ok();
        }
        name.push(b'`');
        rest = &rest[1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, step: usize) -> Result<BTreeSet<String>> {
        let mut lines = Lines::default();
        for chunk in text.as_bytes().chunks(step) {
            lines.take(chunk);
        }
        lines.end()
    }

    #[test]
    fn tables_and_trailer_are_seen_however_the_stream_is_cut() {
        let long = "x".repeat(1000);
        let text = format!(
            "-- MariaDB dump\nCREATE TABLE `a` (\n  `b` int\n);\nINSERT INTO `a` VALUES ('{long}');\n\
             CREATE TABLE `od``d` (\n-- Dump completed on 2026-01-01\n"
        );
        for step in [1, 2, 7, 100, 10_000] {
            let tables = lines(&text, step).unwrap();
            assert_eq!(tables, ["a".to_owned(), "od`d".to_owned()].into());
        }
        assert!(lines(&text[..text.len() - 1], 9).is_ok());
    }

    #[test]
    fn a_dump_that_was_cut_is_not_whole() {
        for cut in [
            "",
            "CREATE TABLE `a` (\n",
            "-- Dump completed\nINSERT INTO `a`",
        ] {
            assert_eq!(lines(cut, 3).unwrap_err().code(), Code::Tool, "{cut:?}");
        }
    }
}
