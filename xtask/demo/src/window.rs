//! The application on the display of whoever watches, opened on what was just proved, with a second
//! server that waits for its code.

use std::{env, ffi::OsString, path::Path};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{agent::Agent, story::part};

/// What says where the display is, and under which names that goes into the demo's own session.
const NAMES: [(&str, &str); 3] = [
    ("DISPLAY", "DEMO_DISPLAY"),
    ("XAUTHORITY", "DEMO_XAUTHORITY"),
    ("WAYLAND_DISPLAY", "DEMO_WAYLAND_DISPLAY"),
];

/// The display of whoever started the demo, to be handed into its session.
pub fn display() -> impl Iterator<Item = (&'static str, OsString)> {
    NAMES.into_iter().filter_map(|(name, inside)| {
        let mut value = env::var_os(name)?;
        // A Wayland socket is named by its file in a folder that the session has not.
        if let (true, Some(folder)) = (name == "WAYLAND_DISPLAY", env::var_os("XDG_RUNTIME_DIR")) {
            value = Path::new(&folder).join(value).into();
        }
        Some((inside, value))
    })
}

/// Opens the application and waits until it is closed.
///
/// # Errors
/// When it does not start, or fails.
pub async fn open(app: &Path, agent: &Path) -> Result<()> {
    let second = Agent::start(agent)?;
    part("The application");
    println!("  It opens on the site that was just restored. To enrol a second server, add");
    println!("  {} with the code {}.", second.address(), second.code());
    println!("  Close the window to end the demo.");
    let mut command = Command::new(app);
    for (name, inside) in NAMES {
        command.env_remove(name);
        if let Some(value) = env::var_os(inside) {
            command.env(name, value);
        }
    }
    // There is a graphics card behind a real display.
    command
        .env_remove("LIBGL_ALWAYS_SOFTWARE")
        .kill_on_drop(true);
    let status = command.status().await.context("start the application")?;
    ensure!(status.success(), "the application: {status}");
    Ok(())
}
