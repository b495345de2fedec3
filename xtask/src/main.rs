//! The chores of this repository, as `cargo xtask <chore>`: setting a machine up, showing the
//! product at work, testing, measuring, and keeping the rules of the house.
//!
//! Deliberately not here: anything that needs the product's own crates. Those chores are programs
//! beside this one (`xtask/demo`, `xtask/bench`) and are only started from here.

mod bindings;
mod checkout;
mod command;
mod deb;
mod programs;
mod setup;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{checkout::Checkout, programs::Program};

/// The chores of this repository.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_version_flag = true
)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what building and testing need; says what it does, and does nothing twice.
    ///
    /// Debian packages need root or sudo, and only when one is missing. Tools go to a cache folder
    /// outside the checkout: BACKUPD_CACHE, else XDG_CACHE_HOME/backupd, else ~/.cache/backupd.
    Setup,
    /// Protect, lose and restore a real WordPress, and print what that proved.
    ///
    /// With a display the desktop application opens beside it; without one (or with --headless) the
    /// same way is gone through the same code without a window.
    #[command(disable_help_flag = true)]
    Demo {
        /// Options of the demo itself; --help lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Run every check and every test, stopping at the first that fails.
    Test {
        /// Run these steps only, in the order of the whole.
        #[arg(long, value_enum)]
        only: Vec<test::Step>,
    },
    /// Measure this agent against the usual tools on the same data and the same S3 server.
    #[command(disable_help_flag = true)]
    Bench {
        /// Options of the bench itself; --help lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Build the agent and make a Debian package of it.
    Deb,
    /// Check the rules of the house that no compiler knows.
    Tidy,
    /// Write the interface's types from the Rust they mirror.
    Bindings {
        /// Write nothing; fail if the committed ones are out of date.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<()> {
    let checkout = Checkout::find()?;
    match chore {
        Chore::Setup => setup::run(&checkout),
        Chore::Demo { options } => programs::run(&checkout, Program::Demo, &options),
        Chore::Test { only } => test::run(&checkout, &only),
        Chore::Bench { options } => programs::run(&checkout, Program::Bench, &options),
        Chore::Deb => deb::run(&checkout),
        Chore::Tidy => tidy::run(&checkout),
        Chore::Bindings { check } => bindings::run(&checkout, check),
    }
}
