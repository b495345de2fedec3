//! Everything that must hold before a change goes in, in the order in which a failure costs least
//! to find, and the time each step took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{bindings, checkout::Checkout, command, setup, tidy};

/// One step of the whole, in order.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub enum Step {
    /// Packages and tools are there.
    Setup,
    /// rustfmt would change nothing.
    Format,
    /// The rules of the house hold.
    Tidy,
    /// The interface: types, lint, unit tests, build.
    Ui,
    /// The committed bindings are what Rust says.
    Bindings,
    /// Clippy has no word to say.
    Clippy,
    /// Unit and integration tests, with real databases and stores.
    Rust,
    /// The real window, driven as a person would.
    Window,
}

/// Runs `only` these steps, or all of them when it names none, up to the first that fails.
///
/// # Errors
/// What failed, after the times of what ran.
pub fn run(checkout: &Checkout, only: &[Step]) -> Result<()> {
    let mut times = Vec::new();
    let outcome = Step::value_variants()
        .iter()
        .filter(|step| only.is_empty() || only.contains(step))
        .try_for_each(|step| {
            println!("\n=== {} ===", step.name());
            let start = Instant::now();
            let outcome = step.run(checkout);
            times.push((*step, start.elapsed(), outcome.is_ok()));
            outcome.with_context(|| format!("step {}", step.name()))
        });
    summary(&times);
    outcome
}

impl Step {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn run(self, checkout: &Checkout) -> Result<()> {
        match self {
            Self::Setup => setup::run(checkout),
            Self::Format => command::run(checkout.cargo().args(["fmt", "--all", "--check"])),
            Self::Tidy => tidy::run(checkout),
            Self::Ui => ["check", "lint", "test", "build"]
                .iter()
                .try_for_each(|script| {
                    let mut npm = checkout.command("npm");
                    npm.current_dir(checkout.ui());
                    command::run(npm.args(["run", "--silent", script]))
                }),
            Self::Bindings => bindings::run(checkout, true),
            Self::Clippy => command::run(checkout.cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--features",
                WINDOW_FEATURE,
                "--locked",
                "--quiet",
                "--",
                "--deny=warnings",
            ])),
            Self::Rust => tests(checkout, &["--workspace", "--exclude", WINDOW_PACKAGE]),
            Self::Window => tests(
                checkout,
                &["--package", WINDOW_PACKAGE, "--features", WINDOW_FEATURE],
            ),
        }
    }
}

const WINDOW_PACKAGE: &str = "backupd-desktop";
/// The built interface inside of the binary, instead of Vite's server.
const WINDOW_FEATURE: &str = "backupd-desktop/custom-protocol";

/// No test takes so long, however busy the machine.
const HANGS: Duration = Duration::from_secs(600);

/// Builds and runs the tests of `packages`, one at a time: floods, kills and deadlines are tried on
/// a machine that does nothing else.
fn tests(checkout: &Checkout, packages: &[&str]) -> Result<()> {
    let test = || {
        let mut cargo = checkout.cargo();
        cargo.args(["test", "--locked"]).args(packages);
        cargo
    };
    command::run(test().arg("--no-run"))?;
    command::run_watched(test().args(["--", "--test-threads=1"]), HANGS)
}

fn summary(times: &[(Step, Duration, bool)]) {
    println!("\n=== summary ===");
    let mut whole = Duration::ZERO;
    for (step, time, passed) in times {
        let outcome = if *passed { "ok" } else { "FAILED" };
        println!(
            "{:<10} {:>8.1} s  {outcome}",
            step.name(),
            time.as_secs_f64()
        );
        whole += *time;
    }
    println!("{:<10} {:>8.1} s", "whole", whole.as_secs_f64());
}
