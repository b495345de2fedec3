//! What is in a database: its tables before and after a dump, and what the user may see.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use backupd_base::{Code, Error, Result};
use sha2::{Digest as _, Sha256};

use super::Access;

/// One table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Storage engine; none for a view.
    pub engine: Option<String>,
    /// Rows, as the server estimates them.
    pub rows_estimate: Option<u64>,
    /// Bytes of data and indexes, as the server estimates them.
    pub bytes_estimate: Option<u64>,
    /// Changes whenever the table is made anew, truncated or altered.
    generation: String,
}

impl Table {
    /// Whether it is a view.
    #[must_use]
    pub fn is_view(&self) -> bool {
        self.engine.is_none()
    }

    /// Whether a long transaction sees it as it was at its start.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.engine
            .as_deref()
            .is_none_or(|engine| engine.eq_ignore_ascii_case("InnoDB"))
    }
}

/// What is in a database at one moment.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Its tables and views by name.
    pub tables: Vec<Table>,
    /// Server version, as it says.
    pub server: String,
    /// Default character set.
    pub charset: String,
}

impl Schema {
    /// Reads the schema of the database.
    ///
    /// # Errors
    /// What the server or the client says.
    pub fn read(access: &Access, folder: &Path) -> Result<Self> {
        let facts = access.query(
            folder,
            "SELECT VERSION(), DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA \
             WHERE SCHEMA_NAME = DATABASE()",
        )?;
        let mut facts = facts.into_iter().next().unwrap_or_default().into_iter();
        let server = facts.next().flatten().unwrap_or_default();
        let charset = facts.next().flatten().unwrap_or_default();

        let columns = access.query(
            folder,
            "SELECT TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_DEFAULT, IS_NULLABLE, \
             COLUMN_TYPE, COLUMN_KEY, EXTRA FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION",
        )?;
        let mut shapes: BTreeMap<String, Sha256> = BTreeMap::new();
        for mut row in columns {
            let Some(Some(table)) = row.first_mut().map(Option::take) else {
                continue;
            };
            let shape = shapes.entry(table).or_default();
            shape.update(format!("{row:?}\n"));
        }
        let tables = access.query(
            folder,
            "SELECT TABLE_NAME, ENGINE, TABLE_ROWS, DATA_LENGTH + INDEX_LENGTH, CREATE_TIME \
             FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() \
             ORDER BY TABLE_NAME",
        )?;
        let number = |value: Option<String>| value.and_then(|v| v.parse().ok());
        let tables = tables
            .into_iter()
            .filter_map(|row| {
                let mut row = row.into_iter();
                let name = row.next()??;
                let shape = shapes.remove(&name).unwrap_or_default();
                Some(Table {
                    name,
                    engine: row.next()?,
                    rows_estimate: number(row.next()?),
                    bytes_estimate: number(row.next()?),
                    generation: format!(
                        "{} {}",
                        row.next()?.unwrap_or_default(),
                        hex::encode(shape.finalize())
                    ),
                })
            })
            .collect();
        Ok(Self {
            tables,
            server,
            charset,
        })
    }

    /// Compares with the schema after a dump of `dumped` tables that left `ignored` out.
    ///
    /// # Errors
    /// `Conflict`, naming a table that was altered, truncated or dropped meanwhile; `Tool`, naming
    /// one that the dump lacks. A dump of such a table may be empty and look whole.
    pub fn check_dump(
        &self,
        after: &Self,
        dumped: &BTreeSet<String>,
        ignored: &[String],
    ) -> Result<Vec<String>> {
        let later: BTreeMap<_, _> = after.tables.iter().map(|t| (&t.name, t)).collect();
        let kept = |table: &&Table| !ignored.contains(&table.name);
        for table in self.tables.iter().filter(kept) {
            let name = &table.name;
            let changed = match later.get(name) {
                None => "dropped",
                Some(now) if now.generation != table.generation => "altered or truncated",
                Some(_) if !table.is_view() && !dumped.contains(name) => {
                    let why = format!("the dump lacks table {name}");
                    return Err(Error::new(Code::Tool, why));
                }
                Some(_) => continue,
            };
            let why = format!("table {name} was {changed} during the dump");
            return Err(Error::new(Code::Conflict, why));
        }
        let earlier: BTreeSet<_> = self.tables.iter().map(|t| &t.name).collect();
        Ok(after
            .tables
            .iter()
            .filter(kept)
            .filter(|t| !earlier.contains(&t.name) && !dumped.contains(&t.name))
            .map(|t| {
                format!(
                    "Table {} was made during the dump and is not in it.",
                    t.name
                )
            })
            .collect())
    }
}

/// What the user may read beyond tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privileges {
    /// May see triggers.
    pub triggers: bool,
    /// May see events.
    pub events: bool,
}

impl Privileges {
    /// Reads them. A server lists no trigger to whom it denies triggers, so that a dump without
    /// them looks whole: it has to be asked.
    ///
    /// # Errors
    /// What the server or the client says.
    pub fn read(access: &Access, folder: &Path) -> Result<Self> {
        let granted = access.query(
            folder,
            "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES \
             WHERE REPLACE(GRANTEE, '''', '') = CURRENT_USER() UNION \
             SELECT PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES \
             WHERE REPLACE(GRANTEE, '''', '') = CURRENT_USER() \
             AND DATABASE() LIKE TABLE_SCHEMA",
        )?;
        let has = |name: &str| {
            granted
                .iter()
                .any(|row| matches!(row.first(), Some(Some(p)) if p == name))
        };
        Ok(Self {
            triggers: has("TRIGGER"),
            events: has("EVENT"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, generation: &str) -> Table {
        Table {
            name: name.into(),
            engine: Some("InnoDB".into()),
            rows_estimate: None,
            bytes_estimate: None,
            generation: generation.into(),
        }
    }

    fn schema(tables: &[(&str, &str)]) -> Schema {
        Schema {
            tables: tables.iter().map(|(n, g)| table(n, g)).collect(),
            server: String::new(),
            charset: String::new(),
        }
    }

    #[test]
    fn a_table_that_changed_or_is_missing_fails_by_name() {
        let before = schema(&[("a", "1"), ("b", "1")]);
        let all: BTreeSet<_> = ["a".to_owned(), "b".to_owned()].into();
        let check = |after: &Schema, dumped: &BTreeSet<String>| {
            before
                .check_dump(after, dumped, &[])
                .map_err(|e| e.to_string())
        };
        assert_eq!(check(&before, &all), Ok(vec![]));
        let truncated = schema(&[("a", "1"), ("b", "2")]);
        assert!(
            check(&truncated, &all)
                .unwrap_err()
                .contains("table b was altered")
        );
        let dropped = schema(&[("a", "1")]);
        assert!(
            check(&dropped, &all)
                .unwrap_err()
                .contains("table b was dropped")
        );
        let some: BTreeSet<_> = ["a".to_owned()].into();
        assert!(check(&before, &some).unwrap_err().contains("lacks table b"));
        assert_eq!(
            before
                .check_dump(&before, &some, &["b".to_owned()])
                .unwrap(),
            [""; 0]
        );
        let grown = schema(&[("a", "1"), ("b", "1"), ("c", "1")]);
        assert_eq!(check(&grown, &all).unwrap().len(), 1);
    }
}
