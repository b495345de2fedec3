//! What the agent says of the machine and of itself.

use sysinfo::System;

/// Version of the agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The machine's host name.
#[must_use]
pub fn hostname() -> String {
    System::host_name().unwrap_or_else(|_| "unnamed".into())
}

/// Operating system and release, for people: "Debian GNU/Linux 12".
#[must_use]
pub fn os() -> String {
    let name = System::name().unwrap_or_else(|_| std::env::consts::OS.into());
    match System::os_version() {
        Ok(version) => format!("{name} {version}"),
        Err(_) => name,
    }
}
