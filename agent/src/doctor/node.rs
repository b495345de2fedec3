//! The agent itself: whether it runs, can be reached, and belongs to somebody.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use backupd_protocol::Source;
use tokio::{net::TcpStream, time::timeout};

use super::Finding;
use crate::agent::Agent;

/// More than a machine takes to reach itself.
const SELF: Duration = Duration::from_secs(5);

/// Looks at the daemon and at the enrolment. `is_scheduled`: backups are to come by themselves.
pub(super) async fn examine(
    agent: &Arc<Agent>,
    sources: &[Source],
    is_scheduled: bool,
) -> Vec<Finding> {
    let is_enrolled = agent.enrolment.node_id().is_some();
    vec![
        daemon(agent.listening(), is_enrolled || is_scheduled).await,
        enrolment(agent, !sources.is_empty()),
        protection(sources),
    ]
}

async fn daemon(listening: Option<SocketAddr>, is_needed: bool) -> Finding {
    const CHECK: &str = "daemon";
    const START: &str =
        "Start it, now and at every boot: systemctl enable --now backupd (or: backupd run)";
    let Some(address) = listening else {
        let message = "No daemon is running: no master reaches this server, and no schedule runs.";
        return if is_needed {
            Finding::bad(CHECK, message, START)
        } else {
            Finding::warning(CHECK, message, START)
        };
    };
    let here = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    match timeout(SELF, TcpStream::connect((here, address.port()))).await {
        Ok(Ok(_)) => Finding::good(CHECK, format!("It runs, and listens on {address}.")),
        _ => Finding::bad(
            CHECK,
            format!("It runs, but does not take connections on {address}."),
            "Let this port through the server's firewall, and start it anew: systemctl restart backupd",
        ),
    }
}

fn enrolment(agent: &Agent, has_sources: bool) -> Finding {
    const CHECK: &str = "enrolment";
    match agent.enrolment.node_id() {
        Some(id) => Finding::good(CHECK, format!("Enrolled as node {id}.")),
        None if has_sources => Finding::good(CHECK, "Not enrolled: protected by hand."),
        None => Finding::warning(
            CHECK,
            "This server is not enrolled at a master.",
            "Show a code with: backupd pair, and type it into the app at \"Add node\".",
        ),
    }
}

fn protection(sources: &[Source]) -> Finding {
    const CHECK: &str = "source";
    match sources.len() {
        0 => Finding::warning(
            CHECK,
            "Nothing on this server is backed up.",
            "Find its sites with: backupd scan. Then choose them in the app, or write them into /etc/backupd/config.",
        ),
        1 => Finding::good(CHECK, "One source is protected."),
        n => Finding::good(CHECK, format!("{n} sources are protected.")),
    }
}
