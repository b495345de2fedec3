//! Where a database is and how to get in.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use backupd_base::{Code, Context as _, Error, ExposeSecret as _, Result, SecretString};

use crate::modules::tool::{Limits, Running, Tool};

/// The client programs, the vendor's present name first.
pub(crate) const CLIENTS: &[&str] = &["mariadb", "mysql"];
/// A question about the schema takes longer than this only when the server is in trouble.
const QUERY_LIMIT: Duration = Duration::from_secs(60);

/// Where a server listens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Host name or address; `localhost` means the socket.
    pub host: String,
    /// TCP port, when not the default.
    pub port: Option<u16>,
    /// Path of the socket, when not the default.
    pub socket: Option<PathBuf>,
}

/// One database and who may use it.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where the server listens.
    pub address: Address,
    /// User.
    pub user: String,
    /// Password.
    pub password: SecretString,
    /// Database.
    pub database: String,
}

impl Access {
    /// Refuses names that a vendor's tool would take for an option or a line of its own.
    ///
    /// # Errors
    /// `Invalid`, naming the value.
    pub fn check(&self) -> Result<()> {
        let fields = [
            ("database name", &self.database),
            ("database user", &self.user),
            ("database host", &self.address.host),
        ];
        for (what, value) in fields {
            if value.starts_with('-') || value.chars().any(char::is_control) {
                let why = format!("{value:?} cannot be a {what}");
                return Err(Error::new(Code::Invalid, why));
            }
        }
        if self.database.is_empty() {
            return Err(Error::new(Code::Invalid, "the database name is empty"));
        }
        Ok(())
    }

    /// Writes the option file for one run of a tool into `folder` (private to this process).
    ///
    /// # Errors
    /// `Invalid` for a name that cannot be one, else what the disk says.
    pub fn option_file(&self, folder: &Path) -> Result<OptionFile> {
        self.check()?;
        let mut text = String::from("[client]\n");
        let mut line = |name: &str, value: &str| {
            writeln!(text, "{name}=\"{}\"", escape(value)).expect("a String takes any text");
        };
        line("user", &self.user);
        line("password", self.password.expose_secret());
        line("host", &self.address.host);
        if let Some(port) = self.address.port {
            line("port", &port.to_string());
        }
        if let Some(socket) = &self.address.socket {
            line("socket", &socket.to_string_lossy());
            line("protocol", "socket");
        }
        line("default-character-set", "utf8mb4");
        let path = folder.join("client.cnf");
        let what = || format!("write {}", path.display());
        // A former process that was killed may have left its own.
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e).with_context(what),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(what)?;
        let file_on_disk = OptionFile { path: path.clone() };
        file.write_all(text.as_bytes()).with_context(what)?;
        Ok(file_on_disk)
    }

    /// The client, ready to read SQL from its standard input; it exits at the first error.
    ///
    /// # Errors
    /// `Tool` when no client is installed.
    pub fn client(&self, options: &OptionFile) -> Result<Command> {
        let tool = Tool::find(CLIENTS)?;
        let mut command = options.command(&tool);
        // Binary mode takes every client command but DELIMITER out of what it reads: `\!`,
        // `system`, `source` and `tee` in a dump are then nothing but wrong SQL.
        command.args(["--batch", "--binary-mode", "--local-infile=0"]);
        if tool.answer("--help")?.contains("--sandbox") {
            command.arg("--sandbox");
        }
        command.arg(format!("--database={}", self.database));
        Ok(command)
    }

    /// Asks one question; rows of columns, `None` for NULL.
    ///
    /// # Errors
    /// `Tool` with the server's words, `Timeout` after a minute.
    pub fn query(&self, folder: &Path, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.query_within(folder, sql, QUERY_LIMIT)
    }

    /// [`Access::query`] with a time limit of its own.
    ///
    /// # Errors
    /// As [`Access::query`].
    pub fn query_within(
        &self,
        folder: &Path,
        sql: &str,
        limit: Duration,
    ) -> Result<Vec<Vec<Option<String>>>> {
        let options = self.option_file(folder)?;
        let mut command = self.client(&options)?;
        command.args(["--skip-column-names", "--execute", sql]);
        let text = Running::start(command, &Limits::within(limit))?
            .output()
            .with_context(|| format!("ask database {}", self.database))?;
        Ok(text
            .lines()
            .map(|line| line.split('\t').map(unescape).collect())
            .collect())
    }
}

/// An option file on disk; removed when dropped.
#[derive(Debug)]
pub struct OptionFile {
    path: PathBuf,
}

impl OptionFile {
    /// The tool with this file as its first argument, where it must be.
    #[must_use]
    pub fn command(&self, tool: &Tool) -> Command {
        let mut command = tool.command(self.path.parent().unwrap_or(Path::new("/")));
        let mut argument = std::ffi::OsString::from("--defaults-extra-file=");
        argument.push(&self.path);
        command.arg(argument);
        command
    }
}

impl Drop for OptionFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// For a double-quoted value of an option file.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out
}

/// A column of the client's batch output.
fn unescape(column: &str) -> Option<String> {
    if column == "NULL" {
        return None;
    }
    let mut out = String::with_capacity(column.len());
    let mut chars = column.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (c, false) => out.push(c),
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('0') => out.push('\0'),
                Some(c) => out.push(c),
                None => out.push('\\'),
            },
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn access(database: &str) -> Access {
        Access {
            address: Address {
                host: "localhost".into(),
                port: None,
                socket: Some("/run/x.sock".into()),
            },
            user: "u".into(),
            password: "pa\"ss\\w#o;rd'".to_owned().into(),
            database: database.into(),
        }
    }

    #[test]
    fn the_option_file_is_private_and_short_lived() {
        let folder = tempfile::tempdir().unwrap();
        let file = access("shop").option_file(folder.path()).unwrap();
        let mode = std::fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&file.path).unwrap();
        assert!(
            text.contains("password=\"pa\\\"ss\\\\w#o;rd'\"\n"),
            "{text}"
        );
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_that_would_be_options_are_refused() {
        for bad in ["--all-databases", "-e", "a\nb", ""] {
            assert_eq!(access(bad).check().unwrap_err().code(), Code::Invalid);
        }
        assert!(access("a b-c.d").check().is_ok());
    }

    #[test]
    fn columns_come_back_as_they_were() {
        assert_eq!(unescape("a\\tb\\\\n\\n"), Some("a\tb\\n\n".to_owned()));
        assert_eq!(unescape("NULL"), None);
    }
}
