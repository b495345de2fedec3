//! Looks at sites and databases from the outside.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use backupd_testkit::{Database, MariaDb, WordPress};

/// The whole database as text, the same for the same content.
pub fn dump(server: &MariaDb, database: &Database) -> String {
    let output = Command::new("mariadb-dump")
        .arg("--no-defaults")
        .arg(format!("--socket={}", server.socket().display()))
        .args(["--user=root", "--skip-dump-date", "--hex-blob"])
        .args(["--routines", "--triggers", "--events", &database.name])
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Statements in a site's database, as root.
pub fn execute(server: &MariaDb, site: &WordPress, sql: &str) {
    server.execute(&format!("USE `{}`; {sql}", site.database().name));
}

/// A copy that keeps everything.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Names in a folder that are this product's.
pub fn leftovers(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.contains("backupd") || name == ".maintenance")
        .collect()
}

/// A connection that holds what its statements lock until it is dropped.
pub struct Holding {
    child: Child,
    _stdin: ChildStdin,
}

impl Holding {
    pub fn new(server: &MariaDb, database: &Database, sql: &str) -> Self {
        let mut child = Command::new("mariadb")
            .arg("--no-defaults")
            .arg(format!("--socket={}", server.socket().display()))
            .args([
                "--user=root",
                "--unbuffered",
                "--batch",
                "--skip-column-names",
            ])
            .arg(&database.name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{sql}; SELECT 'held';").unwrap();
        stdin.flush().unwrap();
        let mut answer = [0; 5];
        let stdout = child.stdout.as_mut().unwrap();
        std::io::Read::read_exact(stdout, &mut answer).unwrap();
        Self {
            child,
            _stdin: stdin,
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
