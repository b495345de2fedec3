//! The interface's types are written by the desktop package, which knows them; this only starts it
//! and, for a check, compares with what is committed.

use std::{env, fs, path::Path, process};

use anyhow::{Context, Result, ensure};

use crate::{checkout::Checkout, command};

/// Where they are, below the root.
const FILE: &str = "ui/src/lib/bindings/bindings.ts";

/// Writes the bindings, or with `check` only fails if they are not what would be written.
///
/// # Errors
/// When the desktop package does not build, or the bindings are out of date.
pub fn run(checkout: &Checkout, check: bool) -> Result<()> {
    let committed = checkout.root().join(FILE);
    if !check {
        return export(checkout, &committed);
    }
    let fresh = env::temp_dir().join(format!("backupd-bindings-{}.ts", process::id()));
    let compared = export(checkout, &fresh).and_then(|()| same(&committed, &fresh));
    // Nothing to remove if nothing was written.
    let _ = fs::remove_file(&fresh);
    compared
}

fn export(checkout: &Checkout, file: &Path) -> Result<()> {
    let mut cargo = checkout.cargo();
    cargo.args(["run", "--quiet", "--locked", "--package", "backupd-desktop"]);
    command::run(cargo.args(["--example", "export-bindings", "--"]).arg(file))
}

fn same(committed: &Path, fresh: &Path) -> Result<()> {
    let read =
        |file: &Path| fs::read_to_string(file).with_context(|| format!("read {}", file.display()));
    ensure!(
        read(committed)? == read(fresh)?,
        "{FILE} is out of date: run `cargo xtask bindings` and commit it"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_date_or_absent_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let [committed, fresh] = ["committed", "fresh"].map(|name| folder.path().join(name));
        fs::write(&fresh, "export type Id = string").unwrap();
        assert!(same(&committed, &fresh).is_err());
        fs::write(&committed, "export type Id = number").unwrap();
        assert!(same(&committed, &fresh).is_err());
        fs::write(&committed, "export type Id = string").unwrap();
        same(&committed, &fresh).unwrap();
    }
}
