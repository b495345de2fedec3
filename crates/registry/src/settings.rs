//! Single values of the master itself.

use backupd_base::{Context as _, Result};
use rusqlite::OptionalExtension as _;

use crate::Registry;

impl Registry {
    /// The value under `key`.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn setting_get(&self, key: &str) -> Result<Option<String>> {
        self.db()
            .query_row("SELECT value FROM settings WHERE key = ?1", [key], |r| {
                r.get(0)
            })
            .optional()
            .with_context(|| format!("read setting {key}"))
    }

    /// Sets the value under `key`.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn setting_put(&self, key: &str, value: &str) -> Result<()> {
        self.db()
            .execute(
                "INSERT INTO settings (key, value) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [key, value],
            )
            .with_context(|| format!("write setting {key}"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::registry::tests::fresh;

    #[test]
    fn a_setting_outlives_the_process() {
        let (folder, registry) = fresh();
        assert_eq!(registry.setting_get("a").unwrap(), None);
        registry.setting_put("a", "1").unwrap();
        registry.setting_put("a", "2").unwrap();
        drop(registry);
        let registry = crate::Registry::open(folder.path()).unwrap();
        assert_eq!(registry.setting_get("a").unwrap().as_deref(), Some("2"));
    }
}
