//! Other programs, run so that a failure names the one that failed.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read as _, Write as _},
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

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

/// Runs `command` as [`run`] does, for as long as its standard output moves: after `silence` it is
/// ended, with the programs it started. A test that hangs is then named by the last line.
///
/// # Errors
/// As [`run`]; when it said nothing for so long.
pub fn run_watched(command: &mut Command, silence: Duration) -> Result<()> {
    eprintln!("$ {}", line(command));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{}`", line(command)))?;
    let mut output = child.stdout.take().context("its output is a pipe")?;
    let (said, hears) = mpsc::channel();
    let copy = thread::spawn(move || -> io::Result<()> {
        let mut buffer = [0; 8192];
        loop {
            let length = output.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            let mut out = io::stdout().lock();
            out.write_all(&buffer[..length])?;
            out.flush()?;
            let _ = said.send(());
        }
    });
    loop {
        match hears.recv_timeout(silence) {
            Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let started = descendants(child.id());
                child.kill()?;
                for process in started {
                    let _ = kill_process(process, Signal::KILL);
                }
                child.wait()?;
                bail!("`{}`: said nothing for {silence:?}", line(command));
            }
        }
    }
    let status = child.wait()?;
    copy.join().expect("copying does not panic")?;
    ensure!(status.success(), "`{}`: {status}", line(command));
    Ok(())
}

/// The processes that a process started and that run, and those they started.
fn descendants(process: u32) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let mut found = Vec::new();
    for thread in threads.into_iter().flatten().flatten() {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|id| id.parse().ok()) {
            found.extend(Pid::from_raw(child));
            found.extend(descendants(child.cast_unsigned()));
        }
    }
    found
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_ended_with_what_it_started() {
        // The inner one holds the pipe open as long as it lives.
        let mut hanging = Command::new("sh");
        hanging.args(["-c", "echo begun; sh -c 'sleep 600; true'; true"]);
        let silence = Duration::from_millis(300);
        let error = run_watched(&mut hanging, silence).unwrap_err();
        assert!(error.to_string().contains("said nothing for"), "{error}");
    }

    #[test]
    fn what_goes_on_is_left_alone_and_its_failure_told() {
        let silence = Duration::from_secs(60);
        run_watched(Command::new("echo").arg("well"), silence).unwrap();
        let error = run_watched(&mut Command::new("false"), silence).unwrap_err();
        assert!(error.to_string().contains("exit status: 1"), "{error}");
    }
}
