//! The chores that need the product itself: set up, build what they show, start them.

use std::env;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{checkout::Checkout, command, setup};

/// A program beside this one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Shows the whole way once.
    Demo,
    /// Measures the agent, as it is released.
    Bench,
}

/// Sets up, builds what the program needs, and runs it with `options`.
///
/// # Errors
/// When anything does not build, or the program fails.
pub fn run(checkout: &Checkout, program: Program, options: &[String]) -> Result<()> {
    let (package, profile) = match program {
        Program::Demo => ("demo", "dev"),
        Program::Bench => ("bench", "release"),
    };
    let mut command = checkout.command(&build(checkout, package, package, "dev", &[])?);
    if !options
        .iter()
        .any(|option| option == "--help" || option == "-h")
    {
        setup::run(checkout)?;
        let agent = build(checkout, "backupd", "backupd", profile, &[])?;
        command.arg("--agent").arg(agent);
        if program == Program::Demo && a_window_can_open(options) {
            command.arg("--app").arg(application(checkout)?);
        }
    }
    command::run(command.args(options))
}

fn a_window_can_open(options: &[String]) -> bool {
    let display = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
    display && !options.iter().any(|option| option == "--headless")
}

/// The desktop application with the interface built in.
fn application(checkout: &Checkout) -> Result<String> {
    let mut npm = checkout.command("npm");
    npm.current_dir(checkout.ui());
    command::run(npm.args(["run", "--silent", "build"]))?;
    build(
        checkout,
        "backupd-desktop",
        "backupd-desktop",
        "dev",
        &["--features", "backupd-desktop/custom-protocol"],
    )
}

/// Builds one binary and returns where it lies.
///
/// # Errors
/// When it does not build.
fn build(
    checkout: &Checkout,
    package: &str,
    binary: &str,
    profile: &str,
    options: &[&str],
) -> Result<String> {
    eprintln!("building {binary} ({profile})");
    let mut cargo = checkout.cargo();
    cargo.args(["build", "--quiet", "--locked"]);
    cargo.arg("--message-format=json-render-diagnostics");
    cargo.args(["--package", package, "--bin", binary]);
    cargo.args(["--profile", profile]).args(options);
    let messages = command::output(&mut cargo)?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .filter(|artifact| artifact.target.name == binary)
        .find_map(|artifact| artifact.executable)
        .with_context(|| format!("find where cargo put {binary}"))
}

/// Of cargo's messages, what tells where a binary is.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}
