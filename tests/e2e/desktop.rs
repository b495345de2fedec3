//! The window among others on its desktop: starting twice, closing, the tray.

use backupd_testkit::{
    Child, PATIENCE,
    desktop::{Appearance, DesktopSession},
    poll_until, spawn,
};

use crate::BINARY;

fn start(session: &DesktopSession) -> Child {
    let child = spawn(session.command(BINARY));
    poll_until(PATIENCE, "window", || is_shown(session).then_some(()));
    child
}

fn is_shown(session: &DesktopSession) -> bool {
    let listed = session.command("wmctrl").arg("-l").output().unwrap();
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .any(|line| line.ends_with(" Backupd"))
}

fn close(session: &DesktopSession) {
    let closed = session
        .command("wmctrl")
        .args(["-F", "-c", "Backupd"])
        .status();
    assert!(closed.unwrap().success());
}

#[test]
fn a_second_start_ends_and_leaves_the_first_alone() {
    let session = DesktopSession::start(Appearance::Light);
    let mut first = start(&session);
    let mut second = spawn(session.command(BINARY));
    let ended = poll_until(PATIENCE, "end of the second", || second.ended());
    assert!(ended.success(), "{ended}");
    assert_eq!(first.ended(), None);
    assert!(is_shown(&session));
}

#[test]
fn without_a_tray_closing_the_window_quits() {
    let session = DesktopSession::start(Appearance::Light);
    let mut app = start(&session);
    close(&session);
    let ended = poll_until(PATIENCE, "end of the application", || app.ended());
    assert!(ended.success(), "{ended}");
}
