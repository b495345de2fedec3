//! A process that does not outlive the tests: killed when dropped, and by the kernel when the
//! test process is killed itself.

use std::{
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Command, ExitStatus},
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::poll_until;

type Job = (Command, mpsc::Sender<io::Result<std::process::Child>>);

/// A running process.
#[derive(Debug)]
pub struct Child(std::process::Child);

impl Child {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended, and how.
    ///
    /// # Panics
    /// When the system cannot say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0
            .try_wait()
            .expect("the status of a child can be read")
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn signal(&self, signal: Signal) {
        // Not reaped before `self` is gone, so the id is still this process's.
        kill_process(self.pid(), signal).expect("a child can be signalled");
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Panics
    /// When it does not within `within`.
    pub fn stop(mut self, within: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        poll_until(within, "end of a child", || self.ended())
    }

    /// Kills it (SIGKILL), as a power cut would.
    pub fn kill(mut self) -> ExitStatus {
        let _ = self.0.kill();
        self.0.wait().unwrap_or_else(|_| ExitStatus::from_raw(9))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().cast_signed()).expect("a child's id is not zero")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process that the kernel kills when this one ends.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn spawn(command: Command) -> Child {
    let what = format!("{:?}", command.get_program());
    let (answer, started) = mpsc::channel();
    nursery().send((command, answer)).expect("the nursery runs");
    let started = started.recv().expect("the nursery answers");
    Child(started.unwrap_or_else(|e| panic!("start {what}: {e}")))
}

/// The thread that starts children. The kernel's signal comes when the *thread* that started a
/// child ends, so this one must live as long as the process.
fn nursery() -> mpsc::Sender<Job> {
    static NURSERY: Mutex<Option<mpsc::Sender<Job>>> = Mutex::new(None);
    let mut nursery = NURSERY.lock().expect("no holder of this lock panics");
    nursery
        .get_or_insert_with(|| {
            let (send, jobs) = mpsc::channel::<Job>();
            thread::spawn(move || {
                for (command, answer) in jobs {
                    let _ = answer.send(start(command));
                }
            });
            send
        })
        .clone()
}

fn start(mut command: Command) -> io::Result<std::process::Child> {
    let die_with_us = || {
        Ok(rustix::process::set_parent_process_death_signal(Some(
            Signal::KILL,
        ))?)
    };
    // SAFETY: the closure makes one system call, which is async-signal-safe, and allocates nothing.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(die_with_us);
    }
    command.spawn()
}

/// Runs a program to its end and returns what it printed.
///
/// # Panics
/// When it cannot be started or fails; with what it said.
pub(crate) fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output();
    let output = output.unwrap_or_else(|e| panic!("start {:?}: {e}", command.get_program()));
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output.stdout
}
