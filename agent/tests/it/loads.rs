//! Loads of a database, one after the other whoever began them.

use std::{io, sync::mpsc};

use backupd::modules::{
    mysql::{Access, Address, load},
    tool::Limits,
};
use backupd_testkit::{MariaDb, PATIENCE, poll_until};

/// SQL that arrives while it is read.
struct Arriving(mpsc::Receiver<&'static str>);

impl io::Read for Arriving {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let sql = self.0.recv().unwrap_or("");
        into[..sql.len()].copy_from_slice(sql.as_bytes());
        Ok(sql.len())
    }
}

#[test]
fn a_load_waits_for_the_one_before_it() {
    let server = MariaDb::shared();
    let database = server.create_database("turns");
    let access = Access {
        address: Address {
            socket: Some(server.socket().to_owned()),
            host: "localhost".to_owned(),
            port: None,
        },
        user: database.user.clone(),
        password: database.password.clone().into(),
        database: database.name.clone(),
    };
    let (sql, arriving) = mpsc::channel();
    let run = |access: Access, dump: Box<dyn io::Read + Send>| {
        move || {
            let folder = tempfile::tempdir().unwrap();
            load::load(&access, folder.path(), &Limits::default(), dump, |_| Ok(())).unwrap();
        }
    };
    let first = std::thread::spawn(run(access.clone(), Box::new(Arriving(arriving))));
    sql.send("CREATE TABLE entries (n INT AUTO_INCREMENT PRIMARY KEY, who TEXT) ENGINE=InnoDB;\n")
        .unwrap();
    let within = PATIENCE;
    let tables = format!("SHOW TABLES IN `{}`", database.name);
    poll_until(within, "table", || {
        (!server.query(&tables).is_empty()).then_some(())
    });
    let second = b"INSERT INTO entries (who) VALUES ('second');\n";
    let second = std::thread::spawn(run(access, Box::new(&second[..])));
    let waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User lock'";
    poll_until(within, "waiting load", || {
        (server.query(waiting).trim() != "0").then_some(())
    });
    sql.send("INSERT INTO entries (who) VALUES ('first');\n")
        .unwrap();
    drop(sql);
    first.join().unwrap();
    second.join().unwrap();
    let rows = server.query_in(
        &database.name,
        "SELECT GROUP_CONCAT(who ORDER BY n) FROM entries",
    );
    assert_eq!(rows.trim(), "first,second");
}
