//! Ports nobody listens on, below the range that outgoing connections take theirs from.

use std::{collections::HashSet, net::TcpListener, sync::Mutex};

use rand::Rng as _;

static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A free port of 127.0.0.1, never the same twice in one process.
///
/// # Panics
/// When there seems to be none.
#[must_use]
pub fn free_port() -> u16 {
    let mut given = GIVEN.lock().expect("no holder of this lock panics");
    let given = given.get_or_insert_default();
    for _ in 0..1000 {
        let port = rand::thread_rng().gen_range(15_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port) {
            return port;
        }
    }
    panic!("no free port between 15000 and 32000");
}
