//! Loads a dump into a database through the vendor's client, as the given user, with nothing the
//! client could be talked into: no shell, no local files, no other file of SQL.

use std::{
    io::{self, Read, Write as _},
    path::Path,
    time::Duration,
};

use backupd_base::{Code, Context as _, Error, Result};
use sha2::{Digest as _, Sha256};

use super::{Access, definer::Definers};
use crate::modules::tool::{Limits, Running};

/// How long a load waits for an earlier one of the same database.
const TURN_LIMIT: Duration = Duration::from_secs(60);

/// Feeds all of `dump` to the client. `folder` is private to this process; `progress` gets the
/// bytes of every step and ends the load with its error.
///
/// Waits for an earlier load of the same database to end: of a process that was killed, the server
/// may still be at the last statement. An empty `dump` does nothing but that.
///
/// # Errors
/// `Tool` with the server's words; what reading the dump or `progress` fails with; `Cancelled`.
/// The database then holds part of the dump.
pub fn load(
    access: &Access,
    folder: &Path,
    limits: &Limits,
    mut dump: impl Read,
    mut progress: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let what = || format!("load database {}", access.database);
    let options = access.option_file(folder)?;
    let mut command = access.client(&options)?;
    command.arg("--max-allowed-packet=1G");
    let mut running = Running::start(command, limits)?;
    let mut stdin = running.stdin().expect("standard input is taken once");
    let mut buffer = vec![0; 256 * 1024];
    let mut taken_whole = true;
    let (mut definers, mut out) = (Definers::default(), Vec::new());
    let _ = stdin.write_all(turn(access).as_bytes()); // a client that is gone is noticed below
    loop {
        let n = dump.read(&mut buffer).with_context(what)?;
        progress(n as u64)?;
        out.clear();
        match n {
            0 => definers.finish(&mut out),
            n => definers.pass(&buffer[..n], &mut out),
        }
        match stdin.write_all(&out) {
            Ok(()) if n == 0 => break,
            Ok(()) => {}
            // The client is gone; why, it says itself.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                taken_whole = false;
                break;
            }
            Err(e) => return Err(e).with_context(what),
        }
    }
    drop(stdin);
    running.finish().with_context(what)?;
    if taken_whole {
        Ok(())
    } else {
        let why = "the client ended before it had read the whole dump";
        Err(Error::new(Code::Tool, why)).with_context(what)
    }
}

/// SQL that takes the lock of a database's loads, kept until the session ends; it fails when
/// another session does not let go of it.
fn turn(access: &Access) -> String {
    let digest = Sha256::digest(access.database.as_bytes());
    let name = hex::encode(&digest[..16]);
    let seconds = TURN_LIMIT.as_secs();
    format!("SELECT IF(GET_LOCK('backupd.{name}', {seconds}), 1, (SELECT 1 UNION SELECT 2));\n")
}
