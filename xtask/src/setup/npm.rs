//! The interface's packages, exactly as locked.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{checkout::Checkout, command};

/// The lock file that `node_modules` was installed from, kept inside of it.
const INSTALLED: &str = "node_modules/.installed-from.json";

/// Runs `npm ci` unless the installed packages are those of the lock file.
pub fn install(checkout: &Checkout) -> Result<()> {
    let ui = checkout.ui();
    let lock = fs::read(ui.join("package-lock.json")).context("read ui/package-lock.json")?;
    if fs::read(ui.join(INSTALLED)).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    if !command::exists("npm") {
        bail!("find npm: install Node.js 20 or later");
    }
    eprintln!("setup: installing the interface's packages");
    let mut npm = checkout.command("npm");
    command::run(
        npm.current_dir(&ui)
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]),
    )?;
    fs::write(ui.join(INSTALLED), lock).context("note which packages are installed")
}
