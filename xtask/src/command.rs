//! Other programs, run so that a failure names the one that failed.

use std::{
    ffi::OsStr,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

/// Runs `command` to its end with its output on ours, after saying on standard error what it is.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", line(command));
    let status = command
        .status()
        .with_context(|| format!("start `{}`", line(command)))?;
    ensure!(status.success(), "`{}`: {status}", line(command));
    Ok(())
}

/// Runs `command` to its end and returns its standard output.
///
/// # Errors
/// When it cannot be started, fails, or prints what is no UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start `{}`", line(command)))?;
    if !output.status.success() {
        bail!("`{}`: {}", line(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("read what `{}` says", line(command)))
}

/// Whether a program of this name can be started and answers `--version`.
pub fn exists(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| OsStr::to_string_lossy(word).into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
