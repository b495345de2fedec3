//! The agent as a package for Debian and its kin: the program, its service, its settings, and what
//! happens at installing, upgrading, removing and purging (`packaging/debian`).
//!
//! Deliberately not here: signing, and a repository to fetch it from.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{checkout::Checkout, command};

/// Where each file goes, from where below `packaging`, and its mode.
const FILES: [(&str, &str, u32); 4] = [
    (
        "usr/lib/systemd/system/backupd.service",
        "backupd.service",
        0o644,
    ),
    ("etc/backupd/config", "config.example", 0o600),
    (
        "usr/share/doc/backupd/config.example",
        "config.example",
        0o644,
    ),
    ("usr/share/doc/backupd/copyright", "debian/copyright", 0o644),
];
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];
/// Kept as an admin changed them.
const CONFFILES: &str = "/etc/backupd/config\n";

/// Builds the agent and puts it into a package; prints its path.
///
/// # Errors
/// When something cannot be built or written.
pub fn run(checkout: &Checkout) -> Result<()> {
    let build = ["build", "--release", "--package", "backupd"];
    command::run(checkout.cargo().args(build))?;
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| checkout.root().join("target"), PathBuf::from);
    let package = assemble(
        &checkout.root().join("packaging"),
        &target.join("release/backupd"),
        env!("CARGO_PKG_VERSION"),
        &target.join("debian"),
    )?;
    println!("{}", package.display());
    Ok(())
}

/// Makes the package of `program` in the folder `out`.
fn assemble(packaging: &Path, program: &Path, version: &str, out: &Path) -> Result<PathBuf> {
    let tree = out.join("backupd");
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("empty {}", tree.display()))?;
    }
    put(program, &tree.join("usr/bin/backupd"), 0o755)?;
    for (to, from, mode) in FILES {
        put(&packaging.join(from), &tree.join(to), mode)?;
    }
    set_mode(&tree.join("etc/backupd"), 0o700)?;
    let debian = packaging.join("debian");
    for script in SCRIPTS {
        put(
            &debian.join(script),
            &tree.join("DEBIAN").join(script),
            0o755,
        )?;
    }
    write(&tree.join("DEBIAN/conffiles"), CONFFILES)?;
    let mut ask = Command::new("dpkg");
    let architecture = command::output(ask.arg("--print-architecture"))?;
    let architecture = architecture.trim();
    let size = fs::metadata(program).context("measure the program")?.len() / 1024;
    let control = fs::read_to_string(debian.join("control")).context("read control")?;
    let control = control
        .replace("@version@", version)
        .replace("@architecture@", architecture)
        .replace("@size@", &size.to_string());
    write(&tree.join("DEBIAN/control"), &control)?;
    let package = out.join(format!("backupd_{version}_{architecture}.deb"));
    command::run(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "--build"])
            .args([&tree, &package]),
    )?;
    Ok(package)
}

fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make_folder_of(to)?;
    fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    set_mode(to, mode)
}

fn write(to: &Path, text: &str) -> Result<()> {
    make_folder_of(to)?;
    fs::write(to, text).with_context(|| format!("write {}", to.display()))?;
    set_mode(to, 0o644)
}

/// Folders of a package have the mode of the system's, whatever the umask here is.
fn make_folder_of(file: &Path) -> Result<()> {
    let folder = file.parent().context("a file is in a folder")?;
    let missing: Vec<_> = folder.ancestors().take_while(|f| !f.exists()).collect();
    for folder in missing.into_iter().rev() {
        fs::create_dir(folder).with_context(|| format!("make {}", folder.display()))?;
        set_mode(folder, 0o755)?;
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("set the mode of {}", path.display()))
}

#[cfg(test)]
mod tests;
