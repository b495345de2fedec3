//! The vendor's programs that dump and load databases.

use super::Finding;
use crate::modules::{
    mysql::{CLIENTS, DUMPERS},
    tool::Tool,
};

const CHECK: &str = "tools";
/// Oldest MySQL whose dump program knows the options a backup gives it.
const OLDEST_MYSQL: u32 = 8;
/// MariaDB's before it do not carry its name in their version.
const OLDEST_MARIADB: u32 = 10;

/// Looks for them, and says whether there is a client to ask databases with.
pub(super) fn examine(are_needed: bool) -> (Vec<Finding>, bool) {
    let dumper = look(DUMPERS, "Databases cannot be dumped", are_needed);
    let client = look(
        CLIENTS,
        "Databases can be neither asked nor restored",
        are_needed,
    );
    let has_client = Tool::find(CLIENTS).is_ok();
    (vec![dumper, client], has_client)
}

fn look(names: &[&str], without: &str, is_needed: bool) -> Finding {
    const INSTALL: &str = "Install the client programs of the database's vendor: apt install mariadb-client, or dnf install mariadb.";
    let tool = match Tool::find(names) {
        Ok(tool) => tool,
        Err(e) if is_needed => return Finding::bad(CHECK, format!("{without}: {e}."), INSTALL),
        Err(e) => {
            return Finding::warning(
                CHECK,
                format!("{without}: {e}. No source needs it yet."),
                INSTALL,
            );
        }
    };
    match tool.version() {
        Ok(version) if is_too_old(&version) => Finding::bad(
            CHECK,
            format!("{} is too old: {version}", tool.name()),
            "Install that of MariaDB 10 or MySQL 8, or newer: apt install mariadb-client.",
        ),
        Ok(version) => Finding::good(CHECK, version),
        Err(e) => Finding::bad(
            CHECK,
            format!("{} does not run: {e}.", tool.name()),
            INSTALL,
        ),
    }
}

/// What the vendors print: "mysqldump  Ver 8.0.36 for Linux", "mysqldump  Ver 10.13 Distrib 5.7.44,
/// for Linux", "mariadb-dump  Ver 10.19 Distrib 10.11.6-MariaDB", "mariadb-dump from
/// 11.4.2-MariaDB, client 10.19". What is written otherwise is given the benefit of the doubt.
fn is_too_old(version: &str) -> bool {
    let number = ["Distrib ", " from ", "Ver "]
        .iter()
        .find_map(|word| version.split_once(word))
        .and_then(|(_, rest)| rest.split('.').next()?.parse::<u32>().ok());
    let oldest = if version.contains("MariaDB") {
        OLDEST_MARIADB
    } else {
        OLDEST_MYSQL
    };
    number.is_some_and(|number| number < oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_each_vendor_writes_them() {
        for (version, is_old) in [
            ("mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL)", false),
            (
                "mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)",
                true,
            ),
            (
                "mariadb-dump  Ver 10.19 Distrib 10.11.6-MariaDB, for debian",
                false,
            ),
            (
                "mysqldump  Ver 10.14 Distrib 5.5.68-MariaDB, for Linux",
                true,
            ),
            (
                "mariadb-dump from 11.4.2-MariaDB, client 10.19 for Linux",
                false,
            ),
            ("mariadb  Ver 15.1 Distrib 10.11.6-MariaDB", false),
            ("something else", false),
        ] {
            assert_eq!(is_too_old(version), is_old, "{version}");
        }
    }
}
