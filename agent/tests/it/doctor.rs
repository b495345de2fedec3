//! `backupd doctor`: nothing bad where nothing is wrong, and each fault by its name with how to
//! mend it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::{
    by_hand::ByHand,
    killed::{Daemon, backupd},
};

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn of<'a>(answer: &'a Value, check: &str, level: &str) -> Vec<&'a Value> {
    let findings = answer["findings"].as_array().unwrap();
    let wanted = findings
        .iter()
        .filter(|f| f["check"] == check && f["level"] == level);
    wanted.collect()
}

/// The one bad finding of `check`, of a server that is not healthy for it.
#[track_caller]
fn bad(output: &Output, check: &str) -> (String, String) {
    let answer = json(output);
    assert_eq!(output.status.code(), Some(1), "{answer:#}");
    assert_eq!(answer["healthy"], false);
    let found = of(&answer, check, "bad");
    assert_eq!(found.len(), 1, "{answer:#}");
    let text = |key: &str| found[0][key].as_str().unwrap().to_owned();
    (text("message"), text("mend"))
}

fn doctor(mut command: Command) -> Output {
    command.args(["doctor", "--json"]).output().unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_server_that_is_well_is_found_well_with_and_without_a_daemon() {
    let server = ByHand::new();
    let alone = server.ask(&["doctor", "--json"]);
    assert_eq!(alone["healthy"], true, "{alone:#}");
    assert_eq!(of(&alone, "daemon", "warning").len(), 1, "{alone:#}");
    // It only looked: a start later on is still the first.
    assert!(!server.path("data").exists());

    let mut daemon = Daemon::of(&mut server.command());
    let asked = server.ask(&["doctor", "--json"]);
    assert_eq!(asked["healthy"], true, "{asked:#}");
    for (check, least) in [
        ("configuration", 1),
        ("data", 1),
        ("daemon", 1),
        ("enrolment", 1),
        ("tools", 2),
        ("source", 3),
        ("provider", 2),
        ("clock", 1),
    ] {
        assert!(
            of(&asked, check, "good").len() >= least,
            "{check}: {asked:#}"
        );
    }
    for finding in asked["findings"].as_array().unwrap() {
        assert_eq!(finding["mend"].is_null(), finding["level"] == "good");
    }
    let said = server.run(&["doctor"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("ok       provider \"bucket\""), "{said}");
    assert!(!said.contains(&server.site.database().password));
    assert!(daemon.terminate().success());
}

#[test]
fn what_is_wrong_with_a_source_is_named_with_how_to_mend_it() {
    let server = ByHand::new();
    let root = server.site.root();
    let nothing = server.path("nothing");
    fs::create_dir(&nothing).unwrap();
    let mut command = server.command();
    command.env("PATH", &nothing);
    let answer = json(&doctor(command));
    let tools = of(&answer, "tools", "bad");
    assert_eq!(tools.len(), 2, "{answer:#}");
    for (tool, name) in tools.iter().zip(["mysqldump", "mysql"]) {
        assert!(tool["message"].as_str().unwrap().contains(name));
        let mend = tool["mend"].as_str().unwrap();
        assert!(mend.contains("apt install mariadb-client"), "{mend}");
    }

    let config = root.join("wp-config.php");
    let password = &server.site.database().password;
    edit(&config, password, "canary-wrong-password");
    let output = doctor(server.command());
    let (message, mend) = bad(&output, "source");
    assert!(message.contains("Access denied"), "{message}");
    assert!(mend.contains("DB_PASSWORD"), "{mend}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("canary"));
    edit(&config, "canary-wrong-password", password);

    set_mode(root, 0o000);
    let (message, mend) = bad(&doctor(without_rights(server.command())), "source");
    set_mode(root, 0o755);
    let shown = root.display().to_string();
    assert!(
        message.contains(&format!("{shown} cannot be read by")),
        "{message}"
    );
    assert!(mend.contains("as root") && mend.contains(&shown), "{mend}");

    let moved = root.with_extension("moved");
    fs::rename(root, &moved).unwrap();
    let (message, mend) = bad(&doctor(server.command()), "source");
    assert!(
        message.contains(&format!("{shown} is not there")),
        "{message}"
    );
    assert!(mend.contains("Mount its disk"), "{mend}");
    fs::rename(&moved, root).unwrap();

    assert!(doctor(server.command()).status.success());
}

/// The root of these tests could read everything: its program may not.
fn without_rights(command: Command) -> Command {
    if !rustix::process::geteuid().is_root() {
        return command;
    }
    let mut limited = Command::new("setpriv");
    limited
        .arg("--bounding-set=-dac_override,-dac_read_search")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap());
    }
    limited
}

#[test]
fn what_is_wrong_with_stores_and_folders_is_named_with_how_to_mend_it() {
    let server = ByHand::new();
    let config = server.path("config");
    let text = fs::read_to_string(&config).unwrap();
    let disk = server.path("disk");
    let second = format!(
        "[[provider]]\nname = \"disk\"\ntype = \"local\"\npath = \"{}\"\n",
        disk.display()
    );
    fs::write(
        &config,
        text.replace("[[source]]", &format!("{second}[[source]]")),
    )
    .unwrap();
    let answer = server.ask(&["doctor", "--json"]);
    let missing = of(&answer, "provider", "warning");
    assert_eq!(missing[0]["name"], "disk", "{answer:#}");
    assert!(missing[0]["mend"].as_str().unwrap().contains("mount"));
    fs::write(&disk, "a file").unwrap();
    let (_, mend) = bad(&doctor(server.command()), "provider");
    assert!(mend.contains(disk.to_str().unwrap()), "{mend}");
    fs::write(&config, &text).unwrap();

    let credentials = server.path("s3.toml");
    set_mode(&credentials, 0o644);
    let (message, mend) = bad(&doctor(server.command()), "provider");
    assert!(message.contains("set its mode to 600"), "{message}");
    assert!(mend.contains("credentials_file"), "{mend}");
    set_mode(&credentials, 0o600);

    let from = text.find("http://").unwrap();
    let to = from + text[from..].find('"').unwrap();
    edit(&config, &text[from..to], "http://127.0.0.1:1");
    let (message, mend) = bad(&doctor(server.command()), "provider");
    assert!(message.contains("cannot be used"), "{message}");
    assert!(mend.contains("reaches the endpoint"), "{mend}");
}

#[test]
fn what_keeps_the_agent_from_starting_is_named_with_how_to_mend_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut wrong = backupd(&data);
    wrong.env("BACKUPD_PORT", "seventy");
    let (message, mend) = bad(&doctor(wrong), "configuration");
    assert!(message.contains("seventy") && !mend.is_empty(), "{message}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut beside = backupd(&data);
    beside.env("BACKUPD_PORT", &port);
    let (message, mend) = bad(&doctor(beside), "daemon");
    assert!(
        message.contains(&port) && mend.contains("BACKUPD_PORT"),
        "{mend}"
    );

    let mut daemon = Daemon::start(&data);
    fs::remove_file(data.join("control.sock")).unwrap();
    let (_, mend) = bad(&doctor(backupd(&data)), "daemon");
    assert!(mend.contains("systemctl restart backupd"), "{mend}");
    daemon.kill();

    fs::remove_file(data.join("keys/seal.age")).unwrap();
    set_mode(&data, 0o755);
    let output = doctor(backupd(&data));
    let (message, mend) = bad(&output, "daemon");
    assert!(
        message.contains("seal.age") && mend.contains("backupd pair"),
        "{message}"
    );
    let open = json(&output);
    let open = of(&open, "data", "warning");
    assert!(open[0]["mend"].as_str().unwrap().contains("chmod 700"));
}
