//! A vendor's program run as a child: found on the `PATH`, without a shell, in a clean
//! environment, at low priority, its status checked and its complaints kept.
//!
//! Deliberately not here: which program with which options.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use backupd_base::{Code, Context as _, Error, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, setpriority_process},
};
use tokio_util::sync::CancellationToken;

/// So much of what a child says on standard error is kept, from its end.
const KEPT_STDERR: usize = 8 * 1024;
/// The least considerate value that still gets work done; the kernel derives a low disk priority
/// (best effort 6) from it.
pub const NICE: i32 = 10;

/// A program that is there.
#[derive(Debug, Clone)]
pub struct Tool {
    program: PathBuf,
}

impl Tool {
    /// The first of `names` that is on the `PATH`.
    ///
    /// # Errors
    /// `Tool`, naming what was looked for.
    pub fn find(names: &[&str]) -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        for name in names {
            for folder in std::env::split_paths(&path) {
                let program = folder.join(name);
                let runs = fs::metadata(&program)
                    .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
                if runs && program.is_absolute() {
                    return Ok(Self { program });
                }
            }
        }
        let why = format!("none of {} is installed", names.join(", "));
        Err(Error::new(Code::Tool, why))
    }

    /// Its file name.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.program.file_name().unwrap_or(OsStr::new(""));
        name.to_string_lossy().into_owned()
    }

    /// What it says of its version, on one line.
    ///
    /// # Errors
    /// It does not start, or fails.
    pub fn version(&self) -> Result<String> {
        self.answer("--version")
            .map(|text| text.lines().next().unwrap_or("").trim().to_owned())
    }

    /// What it prints when called with one option.
    ///
    /// # Errors
    /// It does not start, or fails.
    pub fn answer(&self, option: &str) -> Result<String> {
        let mut command = self.command(Path::new("/"));
        command.arg(option);
        let limits = Limits::within(Duration::from_secs(20));
        Running::start(command, &limits)?.output()
    }

    /// A command to add arguments to. `home` is its home and working folder: no option file of
    /// this process' user is read.
    #[must_use]
    pub fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", home)
            .env("LANG", "C.UTF-8")
            .current_dir(home);
        command
    }
}

/// When a child is killed.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// On request.
    pub cancel: CancellationToken,
    /// When it has taken so long.
    pub deadline: Option<Duration>,
}

impl Limits {
    /// At a deadline only.
    #[must_use]
    pub fn within(deadline: Duration) -> Self {
        Self {
            cancel: CancellationToken::new(),
            deadline: Some(deadline),
        }
    }

    /// On request only.
    #[must_use]
    pub fn until(cancel: &CancellationToken) -> Self {
        Self {
            cancel: cancel.clone(),
            deadline: None,
        }
    }
}

/// A child under way. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    stderr: Option<JoinHandle<String>>,
    watch: Option<JoinHandle<Option<Code>>>,
}

impl Running {
    /// Starts it with standard input, output and error in pipes.
    ///
    /// # Errors
    /// `Tool` when it cannot be started.
    pub fn start(mut command: Command, limits: &Limits) -> Result<Self> {
        let name = Path::new(command.get_program())
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {name}"))
            .map_err(|e| e.with_code(Code::Tool))?;
        let pid = Pid::from_child(&child);
        // Only politeness: where the system forbids it, the work is done all the same.
        let _ = setpriority_process(Some(pid), NICE);
        let stderr = child.stderr.take().expect("standard error is piped");
        let limits = limits.clone();
        Ok(Self {
            name,
            stderr: Some(thread::spawn(move || tail(stderr))),
            watch: Some(thread::spawn(move || watch(pid, &limits))),
            child,
        })
    }

    /// Its standard input, once.
    #[must_use]
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once.
    #[must_use]
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// `Tool` with its last words when its status is not 0; `Cancelled` or `Timeout` when it was
    /// killed for that.
    pub fn finish(mut self) -> Result<()> {
        drop(self.stdin());
        let (status, complaint, killed) = self.end()?;
        if status.success() {
            return Ok(());
        }
        let name = &self.name;
        Err(match killed {
            Some(Code::Timeout) => Error::new(Code::Timeout, format!("{name} took too long")),
            Some(code) => Error::new(code, format!("{name} was stopped")),
            None => {
                let complaint = complaint.trim();
                Error::new(
                    Code::Tool,
                    format!("{name} ended with {status}: {complaint}"),
                )
            }
        })
    }

    /// Waits for its end and takes what it printed (for short answers).
    ///
    /// # Errors
    /// As [`Running::finish`].
    pub fn output(mut self) -> Result<String> {
        let mut text = Vec::new();
        drop(self.stdin());
        if let Some(mut stdout) = self.stdout() {
            stdout
                .read_to_end(&mut text)
                .with_context(|| format!("read from {}", self.name))?;
        }
        self.finish()?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn end(&mut self) -> Result<(ExitStatus, String, Option<Code>)> {
        let status = self
            .child
            .wait()
            .with_context(|| format!("wait for {}", self.name))?;
        let complaint = self.stderr.take().map(JoinHandle::join);
        let killed = self.watch.take().map(JoinHandle::join);
        Ok((
            status,
            complaint.and_then(thread::Result::ok).unwrap_or_default(),
            killed.and_then(thread::Result::ok).flatten(),
        ))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.watch.is_some() {
            let _ = self.child.kill();
            let _ = self.end();
        }
    }
}

/// Reads to the end and keeps the last words.
fn tail(mut from: impl io::Read) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..n]);
        if kept.len() > 2 * KEPT_STDERR {
            kept.drain(..kept.len() - KEPT_STDERR);
        }
    }
    let from = kept.len().saturating_sub(KEPT_STDERR);
    String::from_utf8_lossy(&kept[from..]).into_owned()
}

/// Kills the child when its limits say so; ends when the child does. A blocking read from its
/// pipes ends with it.
fn watch(pid: Pid, limits: &Limits) -> Option<Code> {
    // A child that is gone already is still there to be waited for: the pid is not another's.
    let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let started = Instant::now();
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    loop {
        let mut ended = [PollFd::new(&handle, PollFlags::IN)];
        match poll(&mut ended, Some(&tick)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            _ => return None,
        }
        let late = limits.deadline.is_some_and(|d| started.elapsed() > d);
        if limits.cancel.is_cancelled() || late {
            let _ = pidfd_send_signal(&handle, Signal::KILL);
            return Some(if late { Code::Timeout } else { Code::Cancelled });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(program: &str, arguments: &[&str], limits: &Limits) -> Running {
        let mut command = Tool::find(&[program]).unwrap().command(Path::new("/"));
        command.args(arguments);
        Running::start(command, limits).unwrap()
    }

    #[test]
    fn a_missing_program_is_named() {
        let e = Tool::find(&["no-such-dump"]).unwrap_err();
        assert_eq!(e.code(), Code::Tool);
        assert!(e.to_string().contains("no-such-dump"));
    }

    #[test]
    fn a_status_that_is_not_zero_is_a_failure_with_the_last_words() {
        let e = start("ls", &["/does/not/exist"], &Limits::default())
            .finish()
            .unwrap_err();
        assert_eq!(e.code(), Code::Tool);
        assert!(e.to_string().contains("/does/not/exist"), "{e}");
    }

    #[test]
    fn it_ends_on_request_and_at_its_deadline() {
        let limits = Limits::default();
        let sleeper = start("sleep", &["600"], &limits);
        limits.cancel.cancel();
        assert_eq!(sleeper.finish().unwrap_err().code(), Code::Cancelled);
        let late = Limits::within(Duration::from_millis(10));
        let e = start("sleep", &["600"], &late).finish().unwrap_err();
        assert_eq!(e.code(), Code::Timeout);
    }

    #[test]
    fn the_environment_is_clean_and_the_priority_low() {
        let environment = start("env", &[], &Limits::default()).output().unwrap();
        assert_eq!(environment.lines().count(), 3, "{environment}");
        let running = start("sleep", &["600"], &Limits::default());
        let pid = Pid::from_child(&running.child);
        let nice = rustix::process::getpriority_process(Some(pid)).unwrap();
        assert!(nice >= NICE, "{nice}");
        drop(running);
        let gone = fs::metadata(format!("/proc/{}", pid.as_raw_nonzero()));
        assert!(gone.is_err());
    }
}
