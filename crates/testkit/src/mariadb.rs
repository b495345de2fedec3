//! MariaDB with a data folder of its own.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::Write as _,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, LazyLock},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::{Child, child::run, folder::temporary, free_port, poll_until, spawn};

/// A server on a socket and a free port. `root@localhost` has no password.
#[derive(Debug)]
pub struct MariaDb {
    port: u16,
    socket: PathBuf,
    child: Child,
    // Dropped after the child that writes into it.
    folder: TempDir,
}

/// A database and the unprivileged user it belongs to.
#[derive(Debug, Clone)]
pub struct Database {
    /// Name of the database.
    pub name: String,
    /// User, valid from `localhost` and `127.0.0.1`.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// The server's socket.
    pub socket: PathBuf,
    /// The server's port on 127.0.0.1.
    pub port: u16,
}

impl MariaDb {
    /// A new server. It takes about four seconds.
    ///
    /// # Panics
    /// When MariaDB is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = temporary("maria");
        let at = folder.path();
        // The server runs as a user of its own, which must reach its data.
        fs::set_permissions(at, Permissions::from_mode(0o711)).expect("open the folder");
        let account = account();
        let server_dir = at.join("server");
        fs::create_dir(&server_dir).expect("make a folder");
        if let Some((uid, gid)) = account {
            chown(&server_dir, Some(uid), Some(gid)).expect("hand the folder over");
        }
        let data = format!("--datadir={}", server_dir.join("data").display());
        let mut install = Command::new("mariadb-install-db");
        install.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
        install.args(["--skip-test-db", "--innodb-log-file-size=16M", &data]);
        run(confined(&mut install, &server_dir, account));

        let (port, socket) = (free_port(), server_dir.join("s.sock"));
        let mut server = Command::new("/usr/sbin/mariadbd");
        server.args([
            "--no-defaults",
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
            &data,
        ]);
        server.args([
            "--innodb-log-file-size=16M",
            "--innodb-buffer-pool-size=64M",
        ]);
        // A crash of the machine may cost these data; waiting for a disk need not.
        server.args([
            "--innodb-flush-method=nosync",
            "--innodb-flush-log-at-trx-commit=0",
        ]);
        server.arg("--max-allowed-packet=256M");
        server.arg(format!("--socket={}", socket.display()));
        server.arg(format!("--port={port}"));
        server.arg(format!("--pid-file={}", server_dir.join("pid").display()));
        let log = at.join("log");
        let output = File::create(&log).expect("make a log file");
        server
            .stdout(output.try_clone().expect("clone a handle"))
            .stderr(output);
        confined(&mut server, &server_dir, account);
        let mut this = Self {
            port,
            socket,
            child: spawn(server),
            folder,
        };
        poll_until(Duration::from_secs(60), "answer of MariaDB", || {
            if this.child.ended().is_some() {
                panic!(
                    "MariaDB ended at once:\n{}",
                    fs::read_to_string(&log).unwrap_or_default()
                );
            }
            this.try_query("SELECT 1", None).ok()
        });
        this
    }

    /// The server that the tests of one process share, from the first that asks to its end.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: LazyLock<Arc<MariaDb>> = LazyLock::new(|| Arc::new(MariaDb::start()));
        Arc::clone(&SHARED)
    }

    /// The socket, for `DB_HOST` as `localhost:/path`.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id, to hurt it.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Its temporary folder, with the server's log in `log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs statements as root and returns rows: columns by tabs, rows by line ends.
    ///
    /// # Panics
    /// When one fails.
    #[must_use]
    pub fn query(&self, sql: &str) -> String {
        self.try_query(sql, None)
            .unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// [`query`](Self::query) in a database.
    ///
    /// # Panics
    /// When one fails.
    #[must_use]
    pub fn query_in(&self, database: &str, sql: &str) -> String {
        self.try_query(sql, Some(database))
            .unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// Runs statements as root, for their effect.
    ///
    /// # Panics
    /// When one fails.
    pub fn execute(&self, sql: &str) {
        let _ = self.query(sql);
    }

    /// A new, empty database with a user that may do everything in it and nothing elsewhere.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn create_database(&self, prefix: &str) -> Database {
        let name = format!("{prefix}_{}", hex::encode(rand::random::<[u8; 4]>()));
        let password = hex::encode(rand::random::<[u8; 16]>());
        let mut sql = format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4;\n");
        for host in ["localhost", "127.0.0.1"] {
            sql += &format!("CREATE USER '{name}'@'{host}' IDENTIFIED BY '{password}';\n");
            sql += &format!("GRANT ALL ON `{name}`.* TO '{name}'@'{host}';\n");
        }
        self.execute(&sql);
        Database {
            user: name.clone(),
            name,
            password,
            socket: self.socket.clone(),
            port: self.port,
        }
    }

    /// Loads a dump into a database, as root.
    ///
    /// # Errors
    /// What the client says when the dump does not load.
    pub fn load(&self, database: &str, dump: &Path) -> Result<(), String> {
        let input = File::open(dump).map_err(|e| format!("open {}: {e}", dump.display()))?;
        let output = self.client(Some(database)).stdin(input).output();
        let output = output.map_err(|e| format!("start mariadb: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The checksum of the rows of every table: the same for two databases that hold the same.
    ///
    /// # Panics
    /// When the database cannot be read.
    #[must_use]
    pub fn checksums(&self, database: &str) -> BTreeMap<String, String> {
        let tables = self.query_in(database, "SHOW TABLES");
        let list: Vec<String> = tables.lines().map(|table| format!("`{table}`")).collect();
        if list.is_empty() {
            return BTreeMap::new();
        }
        let sums = self.query_in(database, &format!("CHECKSUM TABLE {}", list.join(", ")));
        sums.lines()
            .map(|line| {
                let (table, sum) = line.split_once('\t').expect("a table and its checksum");
                let (_, table) = table.split_once('.').expect("a database and its table");
                (table.to_owned(), sum.to_owned())
            })
            .collect()
    }

    fn client(&self, database: Option<&str>) -> Command {
        let mut client = Command::new("mariadb");
        client.args([
            "--no-defaults",
            "--user=root",
            "--batch",
            "--skip-column-names",
        ]);
        client.arg("--default-character-set=utf8mb4");
        client.arg("--max-allowed-packet=1G");
        client.arg(format!("--socket={}", self.socket.display()));
        client.args(database);
        client
    }

    fn try_query(&self, sql: &str, database: Option<&str>) -> Result<String, String> {
        let mut client = self.client(database);
        client
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut client = client.spawn().map_err(|e| format!("start mariadb: {e}"))?;
        let mut input = client.stdin.take().expect("stdin is piped");
        let sql = sql.to_owned();
        // Beside the reading: either side may fill its pipe first.
        let feed = thread::spawn(move || input.write_all(sql.as_bytes()));
        let output = client.wait_with_output().map_err(|e| e.to_string())?;
        // A client that refuses closes its end early; its own words say more.
        let _ = feed.join();
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// User and group that the server runs as: `mysql` when this is root, which it refuses to be.
fn account() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("read /etc/passwd");
    let line = users.lines().find(|line| line.starts_with("mysql:"));
    let mut fields = line.expect("there is a user mysql").split(':').skip(2);
    let mut number = || fields.next()?.parse().ok();
    Some((
        number().expect("a user has a number"),
        number().expect("a user has a group"),
    ))
}

fn confined<'a>(
    command: &'a mut Command,
    folder: &Path,
    account: Option<(u32, u32)>,
) -> &'a mut Command {
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", folder).current_dir(folder);
    if let Some((uid, gid)) = account {
        command.uid(uid).gid(gid);
    }
    command
}
