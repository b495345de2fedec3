//! A D-Bus session of its own with gnome-keyring in it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Ends with the value.
pub struct Session {
    home: TempDir,
    address: String,
    children: Vec<Child>,
}

impl Session {
    /// A fresh session; with a password its keyring is made and unlocked, without one no keyring
    /// is ever unlocked.
    pub fn start(password: Option<&str>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), password)
    }

    /// The same home after a log-out and log-in.
    pub fn restart(mut self, password: Option<&str>) -> Self {
        self.stop();
        let home = std::mem::replace(&mut self.home, tempfile::tempdir().unwrap());
        Self::start_in(home, password)
    }

    /// No bus at all.
    pub fn absent() -> Self {
        let home = tempfile::tempdir().unwrap();
        let address = format!("unix:path={}/none", home.path().display());
        Self {
            home,
            address,
            children: Vec::new(),
        }
    }

    fn start_in(home: TempDir, password: Option<&str>) -> Self {
        let mut session = Self {
            home,
            address: String::new(),
            children: Vec::new(),
        };
        let mut bus = session
            .command("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address=1"])
            .arg(format!("--config-file={}", session.bus_config().display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(bus.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        session.children.push(bus);
        session.address = line.trim().to_owned();

        let mut keyring = session.command("gnome-keyring-daemon");
        keyring.args(["--foreground", "--components=secrets"]);
        if password.is_some() {
            keyring.arg("--unlock");
        }
        let mut keyring = keyring
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = keyring.stdin.take().unwrap();
        stdin
            .write_all(password.unwrap_or_default().as_bytes())
            .unwrap();
        drop(stdin);
        session.children.push(keyring);
        session.wait_for_keyring();
        session
    }

    /// A bus that starts nothing by itself: no second keyring, no prompter.
    fn bus_config(&self) -> PathBuf {
        let path = self.home.path().join("bus.conf");
        let socket = self.home.path().join("bus");
        let config = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>\
             <allow own=\"*\"/></policy></busconfig>",
            socket.display()
        );
        std::fs::write(&path, config).unwrap();
        path
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let home = self.home.path();
        let runtime = home.join("run");
        private_folder(&runtime);
        command
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env_remove("GNOME_KEYRING_CONTROL")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
        command
    }

    fn call(&self, path: &str, method: &str, arguments: &[&str]) -> bool {
        self.command("dbus-send")
            .args(["--session", "--print-reply", "--reply-timeout=2000"])
            .args(["--dest=org.freedesktop.secrets", path, method])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    }

    fn wait_for_keyring(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let ping = || {
            self.call(
                "/org/freedesktop/secrets",
                "org.freedesktop.DBus.Peer.Ping",
                &[],
            )
        };
        while !ping() {
            assert!(Instant::now() < deadline, "the keyring did not come up");
        }
    }

    /// What a screen locker does.
    pub fn lock(&self) {
        assert!(self.call(
            "/org/freedesktop/secrets",
            "org.freedesktop.Secret.Service.Lock",
            &["array:objpath:/org/freedesktop/secrets/aliases/default"],
        ));
    }

    /// Runs one of [`crate::steps`] in this session. Nobody answers a prompt here, so a step that
    /// waits for one hangs, and fails.
    pub fn step(&self, name: &str) {
        let mut step = self
            .command(std::env::current_exe().unwrap().to_str().unwrap())
            .args(["--step", name])
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = step.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                step.kill().unwrap();
                panic!("step {name} hangs");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "step {name} failed");
    }

    fn stop(&mut self) {
        for mut child in self.children.drain(..).rev() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}

fn private_folder(path: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(path)
        .unwrap();
}
