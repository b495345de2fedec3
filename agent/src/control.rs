//! What only the console of this server may do, and where it does it: `$BACKUPD_DATA_DIR/control.sock`.

use std::{
    ffi::OsStr,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use backupd_protocol::pairing::ATTEMPTS;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sysinfo::Networks;

use crate::{agent::Agent, pairing::Opened};

/// The control socket of the agent whose data folder is `data_dir`.
#[must_use]
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// `POST /pairing/window`, on the control socket only.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowRequest {
    /// The node is enrolled already, and another master is meant to take its place.
    #[serde(default)]
    pub replace: bool,
}

/// The window that was opened. Holds the code: for the console.
#[derive(Clone, Serialize, Deserialize)]
pub struct WindowAnswer {
    /// What to type into the master.
    pub code: String,
    /// Where a master may reach this server, likeliest first.
    pub addresses: Vec<String>,
    /// This server's TLS key, to compare by eye.
    pub fingerprint: String,
    /// When the code dies.
    pub expires_at: DateTime<Utc>,
    /// Attempts it allows.
    pub attempts: u32,
}

impl WindowAnswer {
    /// What to tell of `opened`, on an agent that listens on `address`.
    #[must_use]
    pub fn new(opened: &Opened, address: SocketAddr, agent: &Agent) -> Self {
        Self {
            code: opened.code.reveal().to_owned(),
            addresses: reachable(address),
            fingerprint: agent.enrolment.own_pin().for_people(),
            expires_at: opened.expires_at,
            attempts: ATTEMPTS,
        }
    }

    /// Writes it to the log: an admin who started the daemon as a service finds the code there. It
    /// is worth nothing after ten minutes.
    pub fn log(&self) {
        tracing::info!(
            "enrol this server: code {}, address {}, until {} UTC",
            self.code,
            self.addresses.join(" or "),
            self.expires_at.format("%H:%M:%S"),
        );
    }
}

/// Addresses of this machine that `bound` can be reached by.
fn reachable(bound: SocketAddr) -> Vec<String> {
    if !bound.ip().is_unspecified() {
        return vec![bound.to_string()];
    }
    // Where the system does not list them, the address it listens on has to do.
    let networks = Networks::new_with_refreshed_list().ok();
    let mut found: Vec<IpAddr> = networks
        .iter()
        .flat_map(|networks| networks.iter())
        .filter(|(name, _)| !is_internal(name))
        .flat_map(|(_, network)| network.ip_networks())
        .map(|network| network.addr)
        .filter(|ip| is_dialled(ip) && (bound.is_ipv6() || ip.is_ipv4()))
        .collect();
    // People type IPv4.
    found.sort_by_key(|ip| (ip.is_ipv6(), *ip));
    found.dedup();
    if found.is_empty() {
        found.push(bound.ip());
    }
    found
        .into_iter()
        .map(|ip| SocketAddr::new(ip, bound.port()).to_string())
        .collect()
}

/// Bridges and cables between containers on this machine.
pub(crate) fn is_internal(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    ["lo", "veth", "docker", "br-", "virbr"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

fn is_dialled(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    }
}
