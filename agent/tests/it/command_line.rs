//! The command line: against a daemon, without one, and its exit codes.

use std::process::{Command, Output};

use serde_json::Value;

use crate::killed::{Daemon, backupd};

fn run(command: &mut Command, arguments: &[&str]) -> Output {
    command.args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!("{e}: {}", String::from_utf8_lossy(&output.stdout));
    })
}

#[test]
fn it_speaks_to_the_daemon_and_works_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut daemon = Daemon::start(&data);
    let status = json(&run(&mut backupd(&data), &["status", "--json"]));
    assert_eq!(status["daemon"], true);
    assert_eq!(status["providers"][0]["name"], "This server");

    let before = daemon.code.clone().unwrap();
    let window = json(&run(&mut backupd(&data), &["pair", "--json"]));
    assert_ne!(window["code"], before.reveal());
    assert_eq!(window["addresses"][0], daemon.address.to_string());
    assert_eq!(window["attempts"], 5);

    assert!(daemon.terminate().success());
    let status = json(&run(&mut backupd(&data), &["status", "--json"]));
    assert_eq!(status["daemon"], false);
    let pair = run(&mut backupd(&data), &["pair"]);
    assert_eq!(pair.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&pair.stderr).contains("backupd run"));
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let nothing = run(&mut backupd(&data), &["backup", "shop"]);
    assert_eq!(nothing.status.code(), Some(3));
    assert_eq!(
        run(&mut backupd(&data), &["frobnicate"]).status.code(),
        Some(2)
    );
    let mut wrong = backupd(&data);
    wrong.env("BACKUPD_PORT", "seventy");
    let wrong = run(&mut wrong, &["run"]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(
        said.contains("BACKUPD_PORT") && said.contains("seventy") && said.contains("allowed"),
        "{said}"
    );
    // In JSON a failure is an answer too.
    let failed = run(&mut backupd(&data), &["backup", "shop", "--json"]);
    assert_eq!(json(&failed)["code"], "not_found");
    let master = run(&mut backupd(&data), &["run", "--mode", "master"]);
    assert_eq!(master.status.code(), Some(2));
}

#[test]
fn a_second_daemon_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let _daemon = Daemon::start(&data);
    let second = run(&mut backupd(&data), &["run"]);
    assert_eq!(second.status.code(), Some(4));
}

#[test]
fn a_scan_finds_what_is_there_without_a_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let sites = dir.path().join("www");
    std::fs::create_dir_all(sites.join("shop/wp-content")).unwrap();
    std::fs::write(
        sites.join("shop/wp-config.php"),
        "<?php define('DB_NAME','shop'); define('DB_USER','u'); define('DB_PASSWORD','canary-db');\
         define('DB_HOST','localhost:/nonexistent.sock'); $table_prefix = 'wp_';",
    )
    .unwrap();
    let data = dir.path().join("data");
    let found = run(
        &mut backupd(&data),
        &["scan", sites.to_str().unwrap(), "--json"],
    );
    let list = json(&found);
    assert_eq!(list[0]["database"]["name"], "shop");
    assert!(!String::from_utf8_lossy(&found.stdout).contains("canary-db"));
    assert!(!String::from_utf8_lossy(&found.stderr).contains("canary-db"));
}
