//! The package through its life in a root of its own, with a stand-in for the program: what is
//! tested is what dpkg does.

use super::*;

struct System {
    dir: tempfile::TempDir,
}

impl System {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let admin = dir.path().join("root/var/lib/dpkg");
        for folder in ["info", "updates", "triggers"] {
            fs::create_dir_all(admin.join(folder)).unwrap();
        }
        fs::write(admin.join("status"), "").unwrap();
        fs::write(dir.path().join("program"), "#!/bin/sh\n").unwrap();
        Self { dir }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    fn package(&self, version: &str) -> PathBuf {
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
        let program = self.dir.path().join("program");
        assemble(&packaging, &program, version, &self.dir.path().join("out")).unwrap()
    }

    fn dpkg(&self, arguments: &[&str]) -> String {
        let output = Command::new("dpkg")
            .arg(format!("--root={}", self.path("").display()))
            .arg(format!("--log={}", self.path("dpkg.log").display()))
            .args(["--force-not-root", "--force-depends", "--force-confold"])
            .args(["--force-script-chrootless", "--force-bad-path"])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{complaint}");
        said
    }
}

#[test]
fn files_have_their_places_and_modes() {
    let system = System::new();
    let package = system.package("1.0");
    let mut list = Command::new("dpkg-deb");
    let list = command::output(list.arg("--contents").arg(&package)).unwrap();
    for (mode, path) in [
        ("-rwxr-xr-x root/root", "./usr/bin/backupd"),
        (
            "-rw-r--r-- root/root",
            "./usr/lib/systemd/system/backupd.service",
        ),
        ("drwx------ root/root", "./etc/backupd/"),
        ("-rw------- root/root", "./etc/backupd/config"),
        (
            "-rw-r--r-- root/root",
            "./usr/share/doc/backupd/config.example",
        ),
        ("drwxr-xr-x root/root", "./usr/bin/"),
    ] {
        let is_there = |line: &str| line.starts_with(mode) && line.ends_with(path);
        assert!(list.lines().any(is_there), "{mode} {path}\n{list}");
    }
}

#[test]
fn data_and_settings_outlive_all_but_a_purge_and_snapshots_that_too() {
    let system = System::new();
    let first = system.package("1.0");
    system.dpkg(&["--install", first.to_str().unwrap()]);
    assert!(system.path("usr/bin/backupd").is_file());

    let (config, keys) = ("etc/backupd/config", "var/lib/backupd/keys/tls.pem");
    let snapshot = "var/lib/backupd/store/t/s/manifest.json";
    for file in [keys, snapshot, "var/lib/backupd/agent.db"] {
        fs::create_dir_all(system.path(file).parent().unwrap()).unwrap();
        fs::write(system.path(file), "data").unwrap();
    }
    fs::write(system.path(config), "port = 9000\n").unwrap();

    let second = system.package("1.1");
    system.dpkg(&["--install", second.to_str().unwrap()]);
    system.dpkg(&["--remove", "backupd"]);
    assert!(!system.path("usr/bin/backupd").exists());
    assert!(system.path(keys).exists() && system.path(snapshot).exists());
    let kept = fs::read_to_string(system.path(config)).unwrap();
    assert_eq!(kept, "port = 9000\n");

    let said = system.dpkg(&["--purge", "backupd"]);
    assert!(said.contains("snapshots stay in"), "{said}");
    assert!(!system.path(config).exists());
    assert!(!system.path("var/lib/backupd/keys").exists());
    assert!(!system.path("var/lib/backupd/agent.db").exists());
    assert_eq!(fs::read(system.path(snapshot)).unwrap(), b"data");
}
