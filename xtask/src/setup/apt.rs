//! Debian's packages.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};

use crate::{checkout::Checkout, command};

/// What is needed, by what needs it.
const PACKAGES: &[(&str, &[&str])] = &[
    (
        "compiling",
        &["build-essential", "pkg-config", "git", "ca-certificates"],
    ),
    (
        "the desktop application",
        &[
            "libwebkit2gtk-4.1-dev",
            "libayatana-appindicator3-dev",
            "librsvg2-dev",
            "file",
            "patchelf",
            "desktop-file-utils",
        ],
    ),
    (
        "a real window in tests",
        &[
            "webkit2gtk-driver",
            "xvfb",
            "x11-utils",
            "wmctrl",
            "imagemagick",
            "openbox",
            "dunst",
            "dbus",
            "dbus-bin",
            "gnome-keyring",
            "fonts-dejavu-core",
        ],
    ),
    (
        "real sites and stores in tests",
        &[
            "mariadb-server",
            "mariadb-client",
            "php-cli",
            "php-mysql",
            "php-gd",
            "php-xml",
            "php-mbstring",
            "php-curl",
            "python3-pip",
        ],
    ),
    (
        "other readers, and peers to measure against",
        &["age", "zstd", "restic", "rclone"],
    ),
];

/// Installs the missing ones.
pub fn install(checkout: &Checkout) -> Result<()> {
    let missing =
        missing(&command::output(checkout.command("dpkg-query").args([
            "--show",
            "--showformat=${Package} ${db:Status-Status}\n",
        ]))?);
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("setup: installing Debian packages: {}", missing.join(" "));
    let apt_get = || -> Result<std::process::Command> {
        let user = command::output(checkout.command("id").arg("--user"))?;
        let mut command = if user.trim() == "0" {
            checkout.command("apt-get")
        } else if command::exists("sudo") {
            let mut sudo = checkout.command("sudo");
            sudo.arg("apt-get");
            sudo
        } else {
            bail!(
                "as root, run: apt-get install --no-install-recommends {}",
                missing.join(" ")
            );
        };
        command.env("DEBIAN_FRONTEND", "noninteractive");
        Ok(command)
    };
    command::run(apt_get()?.args(["update", "--quiet=2"]))?;
    command::run(
        apt_get()?
            .args([
                "install",
                "--yes",
                "--quiet=2",
                "--no-install-recommends",
                "--option=Dpkg::Use-Pty=0",
            ])
            .args(&missing),
    )
    .context("install Debian packages")
}

/// Says what is needed, by Debian's names.
pub fn list() {
    eprintln!("setup: this is no Debian; have these, by the names they have here:");
    for (purpose, packages) in PACKAGES {
        eprintln!("  for {purpose}: {}", packages.join(" "));
    }
}

/// Which of the packages are not in dpkg's list.
fn missing(listed: &str) -> Vec<&'static str> {
    let installed: HashSet<&str> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    PACKAGES
        .iter()
        .flat_map(|(_, packages)| packages.iter().copied())
        .filter(|package| !installed.contains(package))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_was_removed_is_missing() {
        let all = |state: &str| {
            PACKAGES
                .iter()
                .flat_map(|(_, packages)| packages.iter())
                .map(|package| match *package {
                    "age" => format!("age {state}\n"),
                    other => format!("{other} installed\n"),
                })
                .collect::<String>()
        };
        assert_eq!(missing(&all("installed")), [""; 0]);
        assert_eq!(missing(&all("config-files")), ["age"]);
    }
}
