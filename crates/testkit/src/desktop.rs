//! A desktop of its own for one test: an X display, a session bus, an unlocked keyring, a window
//! manager and somebody who shows notifications. Nothing of it touches the user's own session.

mod app;

pub use app::App;

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    Child,
    child::{run, spawn},
    folder::temporary,
    poll_until,
};

/// The slowest part takes a second on an idle machine.
const START: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(5);

/// What the desktop tells its applications to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appearance {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// A running desktop. Stopped when dropped.
#[derive(Debug)]
pub struct DesktopSession {
    environment: Vec<(&'static str, String)>,
    // Stopped from the last started to the display: fields are dropped in this order.
    _notifications: Child,
    _window_manager: Child,
    _keyring: Child,
    _bus: Child,
    display: Child,
    folder: TempDir,
}

impl DesktopSession {
    /// A new desktop of 1440 × 960, which a window of 1280 × 800 fits in. It takes about a second.
    ///
    /// # Panics
    /// When a part of it is not installed or does not start.
    #[must_use]
    pub fn start(appearance: Appearance) -> Self {
        let folder = temporary("desktop");
        let mut at = Stage::new(folder.path(), appearance);

        let display = at.daemon("Xvfb", |xvfb| {
            xvfb.args(["-screen", "0", "1440x960x24", "-nolisten", "tcp"]);
            xvfb.args(["-noreset", "-displayfd", "1"]);
        });
        let number = at.first_line("Xvfb");
        at.set("DISPLAY", format!(":{number}"));

        let bus = at.daemon("dbus-daemon", |bus| {
            bus.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
            bus.arg(format!(
                "--address=unix:path={}/bus",
                folder.path().display()
            ));
        });
        let address = at.first_line("dbus-daemon");
        at.set("DBUS_SESSION_BUS_ADDRESS", address);

        // The password of a keyring that is made now and thrown away.
        let password = at.folder.join("keyring-password");
        fs::write(&password, "correct horse").expect("write the keyring's password");
        let keyring = at.daemon("gnome-keyring-daemon", |keyring| {
            keyring.args(["--foreground", "--unlock", "--components=secrets"]);
            keyring.stdin(File::open(&password).expect("open the keyring's password"));
        });
        at.wait_for_name("org.freedesktop.secrets");

        let window_manager = at.daemon("openbox", |openbox| {
            openbox.arg("--sm-disable");
        });
        poll_until(START, "window manager", || {
            let mut xprop = at.command("xprop");
            xprop.args(["-root", "_NET_SUPPORTING_WM_CHECK"]);
            let said = String::from_utf8(run(&mut xprop)).ok()?;
            said.contains("window id").then_some(())
        });

        let notifications = at.daemon("dunst", |_| {});
        at.wait_for_name("org.freedesktop.Notifications");

        Self {
            environment: at.environment,
            _notifications: notifications,
            _window_manager: window_manager,
            _keyring: keyring,
            _bus: bus,
            display,
            folder,
        }
    }

    /// A command inside this desktop, with nothing of the surrounding session.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        command(program.as_ref(), &self.environment)
    }

    /// The session's own folder for what is written by name, such as a saved file. Gone with it.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("documents")
    }

    /// Where an application of this identifier keeps its data.
    #[must_use]
    pub fn data_folder(&self, identifier: &str) -> PathBuf {
        self.folder.path().join("data").join(identifier)
    }

    /// Everything the session's programs and the application said.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// A picture of the whole screen, as PNG.
    ///
    /// # Panics
    /// When it cannot be taken.
    pub fn picture(&self, to: &Path) {
        self.picture_of("root", to);
    }

    /// Kills every process of `binary` in this session.
    fn end_all(&self, binary: &Path) {
        let ours = self.folder.path().display().to_string();
        for process in fs::read_dir("/proc").expect("read /proc").flatten() {
            let id = process.file_name().to_string_lossy().parse().ok();
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            let is_ours = String::from_utf8_lossy(&environment).contains(&ours);
            let is_binary = fs::read_link(process.path().join("exe")).is_ok_and(|p| p == binary);
            if let Some(id) = id.and_then(Pid::from_raw)
                && is_ours
                && is_binary
            {
                // It may have ended meanwhile.
                let _ = kill_process(id, Signal::KILL);
            }
        }
    }

    fn picture_of(&self, window: &str, to: &Path) {
        let mut import = self.command("import");
        run(import.args(["-window", window]).arg(to));
    }
}

impl Drop for DesktopSession {
    fn drop(&mut self) {
        // Killed outright it would leave its lock and its socket in the system's folder.
        self.display.signal(Signal::TERM);
        let end = Instant::now() + STOP;
        while self.display.ended().is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A session on its way.
struct Stage<'a> {
    folder: &'a Path,
    environment: Vec<(&'static str, String)>,
}

impl<'a> Stage<'a> {
    fn new(folder: &'a Path, appearance: Appearance) -> Self {
        let mut stage = Self {
            folder,
            environment: Vec::new(),
        };
        for (name, value) in [
            // Found as they are: programs, and what they keep per user beside the XDG folders.
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("HOME", std::env::var("HOME").unwrap_or_default()),
            ("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_default()),
            // WebKit makes `navigator.language` "C" of it: the harshest locale a page can meet.
            ("LANG", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            // There is no graphics card to share buffers with, and no accessibility bus.
            ("LIBGL_ALWAYS_SOFTWARE", "1".into()),
            ("WEBKIT_DISABLE_DMABUF_RENDERER", "1".into()),
            ("NO_AT_BRIDGE", "1".into()),
        ] {
            stage.set(name, value);
        }
        for (name, folder) in [
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_DOCUMENTS_DIR", "documents"),
            ("TMPDIR", "tmp"),
        ] {
            let path = stage.folder.join(folder);
            fs::create_dir(&path).expect("make a folder of the session");
            fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("close the folder");
            stage.set(name, path.display().to_string());
        }
        fs::create_dir(stage.folder.join("logs")).expect("make a folder of the session");

        let gtk = stage.folder.join("config/gtk-3.0");
        fs::create_dir(&gtk).expect("make GTK's folder");
        let dark = u8::from(appearance == Appearance::Dark);
        let settings = format!("[Settings]\ngtk-application-prefer-dark-theme={dark}\n");
        fs::write(gtk.join("settings.ini"), settings).expect("write GTK's settings");
        stage
    }

    fn set(&mut self, name: &'static str, value: String) {
        self.environment.push((name, value));
    }

    fn command(&self, program: &str) -> Command {
        command(Path::new(program), &self.environment)
    }

    /// Starts a program whose standard output goes to its log, and what it complains of beside it.
    fn daemon(&self, program: &str, arguments: impl FnOnce(&mut Command)) -> Child {
        let log = File::create(self.log(program)).expect("create a log");
        let mut command = self.command(program);
        command.stdin(Stdio::null());
        command.stderr(File::create(self.log(&format!("{program}-errors"))).expect("create a log"));
        command.stdout(log);
        arguments(&mut command);
        spawn(command)
    }

    fn log(&self, program: &str) -> PathBuf {
        self.folder.join("logs").join(program)
    }

    /// The first whole line a daemon says: its answer to "where are you".
    fn first_line(&self, program: &str) -> String {
        poll_until(START, program, || {
            let said = fs::read_to_string(self.log(program)).ok()?;
            let (line, _) = said.split_once('\n')?;
            Some(line.trim().to_owned())
        })
    }

    fn wait_for_name(&self, name: &str) {
        poll_until(START, name, || {
            let mut ask = self.command("dbus-send");
            ask.args(["--session", "--print-reply=literal"]);
            ask.args(["--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"]);
            ask.arg("org.freedesktop.DBus.NameHasOwner");
            ask.arg(format!("string:{name}"));
            let said = String::from_utf8(run(&mut ask)).ok()?;
            said.contains("true").then_some(())
        });
    }
}

fn command(program: &Path, environment: &[(&'static str, String)]) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}
