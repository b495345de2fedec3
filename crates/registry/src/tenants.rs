//! Whose data it is.

use backupd_base::{Code, Context as _, Error, Result, TenantId};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, named_params};

use crate::{Registry, column::parsed};

/// A tenant. Its private key is in the vault, the recovery key on paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// Its id.
    pub id: TenantId,
    /// For people.
    pub name: String,
    /// age recipient of the key in the vault.
    pub recipient: String,
    /// age recipient of the key on paper.
    pub recovery_recipient: String,
    /// The paper was saved.
    pub kit_saved: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl TenantRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: parsed(row, "id")?,
            name: row.get("name")?,
            recipient: row.get("recipient")?,
            recovery_recipient: row.get("recovery_recipient")?,
            kit_saved: row.get("kit_saved")?,
            created_at: row.get("created_at")?,
        })
    }
}

impl Registry {
    /// Adds a tenant.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn tenant_insert(&self, tenant: &TenantRow) -> Result<()> {
        insert(&self.db(), tenant).with_context(|| format!("add tenant {}", tenant.name))
    }

    /// The tenants, oldest first.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn tenants_list(&self) -> Result<Vec<TenantRow>> {
        let db = self.db();
        let list = |db: &Connection| -> rusqlite::Result<_> {
            db.prepare_cached("SELECT * FROM tenants ORDER BY id")?
                .query_map([], TenantRow::read)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        list(&db).context("list tenants")
    }

    /// Gives a tenant whose kit was never saved another recovery recipient.
    ///
    /// # Errors
    /// `Conflict` when its kit was saved: snapshots may already depend on that key.
    pub fn tenant_set_recovery(&self, id: &TenantId, recipient: &str) -> Result<()> {
        let changed = self
            .db()
            .execute(
                "UPDATE tenants SET recovery_recipient = ?2 WHERE id = ?1 AND kit_saved = 0",
                [id.as_str(), recipient],
            )
            .with_context(|| format!("change the recovery recipient of tenant {id}"))?;
        if changed == 1 {
            return Ok(());
        }
        Err(Error::new(
            Code::Conflict,
            format!("the recovery kit of tenant {id} was saved already"),
        ))
    }

    /// Notes that the kit was saved.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn tenant_set_kit_saved(&self, id: &TenantId) -> Result<()> {
        self.db()
            .execute(
                "UPDATE tenants SET kit_saved = 1 WHERE id = ?1",
                [id.as_str()],
            )
            .with_context(|| format!("note the saved kit of tenant {id}"))?;
        Ok(())
    }
}

/// Adds a tenant.
pub(crate) fn insert(db: &Connection, tenant: &TenantRow) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO tenants (id, name, recipient, recovery_recipient, kit_saved, created_at)
         VALUES (:id, :name, :recipient, :recovery, :saved, :at)",
        named_params! {
            ":id": tenant.id.as_str(),
            ":name": tenant.name,
            ":recipient": tenant.recipient,
            ":recovery": tenant.recovery_recipient,
            ":saved": tenant.kit_saved,
            ":at": tenant.created_at,
        },
    )?;
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::registry::tests::fresh;

    pub fn tenant() -> TenantRow {
        TenantRow {
            id: TenantId::new(),
            name: "Acme".into(),
            recipient: "age1tenant".into(),
            recovery_recipient: "age1paper".into(),
            kit_saved: false,
            created_at: Utc::now(),
        }
    }

    #[test]
    fn a_saved_recovery_key_is_never_replaced() {
        let (_folder, registry) = fresh();
        let mut row = tenant();
        registry.tenant_insert(&row).unwrap();
        registry.tenant_set_recovery(&row.id, "age1other").unwrap();
        registry.tenant_set_kit_saved(&row.id).unwrap();
        let refused = registry.tenant_set_recovery(&row.id, "age1third");
        assert_eq!(refused.unwrap_err().code(), Code::Conflict);
        row.recovery_recipient = "age1other".into();
        row.kit_saved = true;
        assert_eq!(registry.tenants_list().unwrap(), [row]);
    }
}
