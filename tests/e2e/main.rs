//! The real window on a desktop of its own: what a person does, and what they see.
#![allow(clippy::unwrap_used)]

mod desktop;
mod first_run;
mod page;
mod server;
mod whole_way;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The application with its pages built in.
const BINARY: &str = env!("CARGO_BIN_EXE_backupd-desktop");

/// Where the run leaves a picture of this name.
fn picture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pictures");
    fs::create_dir_all(&folder).unwrap();
    folder.join(name).with_extension("png")
}
