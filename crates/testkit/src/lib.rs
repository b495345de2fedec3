//! Real parts for tests and benchmarks: each is started on free ports of 127.0.0.1 in a temporary
//! folder, ready when its constructor returns, and gone when it is dropped or the process ends.
//! Those that tests share last as long as the process; their folders go with the next one.
//!
//! Everything blocks and panics: a test that cannot have its parts has failed. Linux only; empty
//! elsewhere.
#![cfg(target_os = "linux")]

mod child;
#[cfg(feature = "desktop")]
pub mod desktop;
mod folder;
pub mod http;
mod mariadb;
mod ports;
pub mod proxy;
mod seaweedfs;
pub mod site;
mod tree;
mod wait;
pub mod wordpress;

pub use child::{Child, spawn};
pub use mariadb::{Database, MariaDb};
pub use ports::free_port;
pub use proxy::Proxy;
pub use seaweedfs::{Identity, SeaweedFs};
pub use tree::{assert_same_tree, tree_differences};
pub use wait::{PATIENCE, eventually, poll_until};
pub use wordpress::WordPress;

use std::path::PathBuf;

/// Where `cargo xtask setup` keeps what it fetches: `BACKUPD_CACHE`, else `XDG_CACHE_HOME/backupd`,
/// else `~/.cache/backupd`.
///
/// # Panics
/// When there is no home folder.
#[must_use]
pub fn cache_dir() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("BACKUPD_CACHE").map_or_else(
        || {
            let home = || std::env::home_dir().expect("there is a home folder");
            set("XDG_CACHE_HOME")
                .map_or_else(|| home().join(".cache"), PathBuf::from)
                .join("backupd")
        },
        PathBuf::from,
    )
}

/// A program or folder that `cargo xtask setup` fetched.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    let path = cache_dir().join("tools").join(name);
    assert!(
        path.exists(),
        "no {}; run `cargo xtask setup`",
        path.display()
    );
    path
}
