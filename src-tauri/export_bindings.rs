//! Writes the TypeScript side of the commands to the path given: `cargo xtask bindings`.

use std::{env, process::ExitCode};

use specta_typescript::Typescript;

fn main() -> ExitCode {
    let Some(path) = env::args_os().nth(1) else {
        eprintln!("usage: export-bindings FILE");
        return ExitCode::FAILURE;
    };
    match backupd_desktop::ipc::builder().export(Typescript::default(), &path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("write the bindings to {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
