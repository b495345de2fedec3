//! The real keyring: gnome-keyring in a private D-Bus session. The Secret Service is found through
//! the environment, which a running test must not change; so this binary starts itself anew with
//! the session's environment and the name of a step.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod session;
mod steps;

use std::process::ExitCode;

use session::Session;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, step] = arguments.as_slice()
        && flag == "--step"
    {
        return match steps::run(step) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("{step}: {why}");
                ExitCode::FAILURE
            }
        };
    }
    for (name, case) in CASES {
        println!("test {name} ...");
        case();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

const CASES: [(&str, fn()); 5] = [
    ("an_open_keyring_keeps_secrets", open),
    ("a_keyring_locked_again_is_told", locked),
    (
        "a_keyring_never_unlocked_is_not_mistaken_for_empty",
        unlocked_never,
    ),
    ("an_emptied_keyring_is_told_as_missing", emptied),
    ("no_bus_is_told_with_words", no_bus),
];

fn open() {
    let session = Session::start(Some("pw"));
    session.step("set_up");
    session.step("read_back");
    // Another process of the same installation, and one of another.
    session.step("other_installation_sees_nothing");
}

fn locked() {
    let session = Session::start(Some("pw"));
    session.step("set_up");
    session.lock();
    session.step("told_as_locked");
}

fn unlocked_never() {
    let session = Session::start(Some("pw"));
    session.step("set_up");
    let session = session.restart(None);
    session.step("told_as_locked");
    let session = session.restart(Some("pw"));
    session.step("read_back");
}

fn emptied() {
    let session = Session::start(Some("pw"));
    session.step("set_up");
    session.step("lose_one");
    session.step("one_is_named");
    session.step("lose_all");
    session.step("told_as_emptied");
}

fn no_bus() {
    Session::absent().step("told_as_absent");
}
