//! The first run: keys are made, and the recovery kit is saved before anything else can be done.

use std::path::PathBuf;

use backupd_archive::Keypair;
use backupd_base::{Code, Error, Result, TenantId};
use backupd_registry::TenantRow;
use chrono::Utc;

use super::checked_name;
use crate::{
    Master, kit,
    master::blocking,
    view::{ErrorView, SetupStatus, TenantView},
};

impl Master {
    /// How far the first run is, and whether the keyring can be used.
    ///
    /// # Errors
    /// Only those of the disk: a keyring that cannot be used is part of the answer.
    pub async fn setup_status(&self) -> Result<SetupStatus> {
        let tenant = self.tenant().await?;
        let keyring = self.core().secrets.check(tenant.is_some()).await;
        Ok(SetupStatus {
            kit_saved: tenant.as_ref().is_some_and(|t| t.kit_saved),
            tenant: tenant.as_ref().map(view),
            keyring_problem: keyring.err().map(ErrorView::from),
            kit_path: kit::offered_path().to_string_lossy().into_owned(),
        })
    }

    /// Makes the tenant and its keys. Called again before the kit was saved, it answers the same
    /// tenant; the recovery key, which is in memory only, is made anew if it is gone.
    ///
    /// # Errors
    /// `KeyringLocked` when the keys cannot be kept, `KeyMissing` when they were kept and are gone,
    /// `AlreadyExists` when the kit was saved.
    pub async fn setup_create(&self, tenant_name: &str) -> Result<TenantView> {
        let name = checked_name("tenant", tenant_name)?;
        let mut unsaved = self.core().unsaved_recovery.lock().await;
        if let Some(tenant) = self.tenant().await? {
            if tenant.kit_saved {
                return Err(Error::new(
                    Code::AlreadyExists,
                    format!("the tenant {} is set up already", tenant.name),
                ));
            }
            self.core().secrets.check(true).await?;
            return Ok(view(&self.with_recovery(tenant, &mut unsaved).await?.0));
        }
        let (keys, recovery) = (Keypair::generate(), Keypair::generate());
        let tenant = TenantRow {
            id: TenantId::new(),
            name,
            recipient: keys.recipient().to_string(),
            recovery_recipient: recovery.recipient().to_string(),
            kit_saved: false,
            created_at: Utc::now(),
        };
        // The keyring first: a tenant in the registry is one whose keys were kept.
        self.core().secrets.found(tenant.id.clone(), &keys).await?;
        let row = tenant.clone();
        self.db(move |r| r.tenant_insert(&row)).await?;
        *unsaved = Some(recovery);
        Ok(view(&tenant))
    }

    /// Writes the recovery kit to `path` and forgets the key in it.
    ///
    /// # Errors
    /// `AlreadyExists` when something is at `path`, `Conflict` when the kit was saved before,
    /// `NotFound` when there is no tenant yet.
    pub async fn setup_save_kit(&self, path: impl Into<PathBuf>) -> Result<()> {
        let path = path.into();
        let mut unsaved = self.core().unsaved_recovery.lock().await;
        let Some(tenant) = self.tenant().await? else {
            return Err(Error::new(Code::NotFound, "no tenant was made yet"));
        };
        if tenant.kit_saved {
            return Err(Error::new(
                Code::Conflict,
                "the recovery kit was saved before; its key is on paper only",
            ));
        }
        let (tenant, recovery) = self.with_recovery(tenant, &mut unsaved).await?;
        let id = tenant.id.clone();
        blocking(move || kit::save(&path, &tenant, &recovery)).await?;
        self.db(move |r| r.tenant_set_kit_saved(&id)).await?;
        *unsaved = None;
        Ok(())
    }

    /// The recovery key of a tenant whose kit was not saved; a new one after a restart, since no
    /// snapshot can exist yet.
    async fn with_recovery(
        &self,
        mut tenant: TenantRow,
        unsaved: &mut Option<Keypair>,
    ) -> Result<(TenantRow, Keypair)> {
        if let Some(recovery) = unsaved {
            return Ok((tenant, recovery.clone()));
        }
        let recovery = Keypair::generate();
        tenant.recovery_recipient = recovery.recipient().to_string();
        let (id, recipient) = (tenant.id.clone(), tenant.recovery_recipient.clone());
        self.db(move |r| r.tenant_set_recovery(&id, &recipient))
            .await?;
        *unsaved = Some(recovery.clone());
        Ok((tenant, recovery))
    }

    /// The tenant, once it was made.
    pub(crate) async fn tenant(&self) -> Result<Option<TenantRow>> {
        let tenants = self.db(|r| r.tenants_list()).await?;
        Ok(tenants.into_iter().next())
    }

    /// The tenant whose kit was saved: only then may anything be backed up for it.
    pub(crate) async fn ready_tenant(&self) -> Result<TenantRow> {
        match self.tenant().await? {
            Some(tenant) if tenant.kit_saved => Ok(tenant),
            _ => Err(Error::new(
                Code::Conflict,
                "the recovery kit must be saved first",
            )),
        }
    }
}

fn view(tenant: &TenantRow) -> TenantView {
    TenantView {
        id: tenant.id.clone(),
        name: tenant.name.clone(),
        recipient: tenant.recipient.clone(),
        recovery_recipient: tenant.recovery_recipient.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Drawer, Home};

    #[tokio::test]
    async fn the_first_run_from_nothing_to_a_saved_kit() {
        let home = Home::new();
        let master = home.open().await;
        let status = master.setup_status().await.unwrap();
        assert_eq!((status.tenant, status.kit_saved), (None, false));
        assert_eq!(status.keyring_problem, None);

        let tenant = master.setup_create(" Acme ").await.unwrap();
        assert_eq!(tenant.name, "Acme");
        assert_ne!(tenant.recipient, tenant.recovery_recipient);
        assert_eq!(master.setup_create("Acme").await.unwrap(), tenant);
        let kept = master.core().secrets.tenant(&tenant.id).await.unwrap();
        assert_eq!(kept.recipient().to_string(), tenant.recipient);
        let locked = master.ready_tenant().await.unwrap_err();
        assert_eq!(locked.code(), Code::Conflict);

        let kit = home.path("kit.html");
        master.setup_save_kit(&kit).await.unwrap();
        let page = std::fs::read_to_string(&kit).unwrap();
        assert!(page.contains(&tenant.recovery_recipient));
        assert!(master.setup_status().await.unwrap().kit_saved);
        let again = master.setup_create("Other").await.unwrap_err();
        assert_eq!(again.code(), Code::AlreadyExists);
        let again = master.setup_save_kit(home.path("2.html")).await;
        assert_eq!(again.unwrap_err().code(), Code::Conflict);
        assert!(master.core().unsaved_recovery.lock().await.is_none());
    }

    #[tokio::test]
    async fn a_restart_before_the_kit_makes_another_recovery_key_for_the_same_tenant() {
        let home = Home::new();
        let master = home.open().await;
        let before = master.setup_create("Acme").await.unwrap();
        master.close().await;
        drop(master);
        let master = home.open().await;
        let kit = home.path("kit.html");
        master.setup_save_kit(&kit).await.unwrap();
        let after = master.setup_status().await.unwrap().tenant.unwrap();
        assert_eq!(before.id, after.id);
        assert_eq!(before.recipient, after.recipient);
        assert_ne!(before.recovery_recipient, after.recovery_recipient);
        let page = std::fs::read_to_string(&kit).unwrap();
        assert!(page.contains(&after.recovery_recipient));
    }

    #[tokio::test]
    async fn a_kit_that_could_not_be_saved_can_be_saved_elsewhere() {
        let home = Home::new();
        let master = home.open().await;
        let tenant = master.setup_create("Acme").await.unwrap();
        std::fs::write(home.path("taken"), "mine").unwrap();
        let refused = master.setup_save_kit(home.path("taken")).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert!(!master.setup_status().await.unwrap().kit_saved);
        master.setup_save_kit(home.path("free")).await.unwrap();
        let page = std::fs::read_to_string(home.path("free")).unwrap();
        assert!(page.contains(&tenant.recovery_recipient));
        assert_eq!(std::fs::read_to_string(home.path("taken")).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_locked_keyring_stops_the_setup_and_leaves_no_tenant() {
        let home = Home::new();
        let master = home.open().await;
        home.drawer.lock(true);
        let status = master.setup_status().await.unwrap();
        assert_eq!(status.keyring_problem.unwrap().code, Code::KeyringLocked);
        let refused = master.setup_create("Acme").await.unwrap_err();
        assert_eq!(refused.code(), Code::KeyringLocked);
        assert_eq!(master.setup_status().await.unwrap().tenant, None);
        home.drawer.lock(false);
        master.setup_create("Acme").await.unwrap();
    }

    #[tokio::test]
    async fn an_emptied_keyring_is_told_and_gets_no_new_keys() {
        let home = Home::new();
        let master = home.open().await;
        master.setup_create("Acme").await.unwrap();
        home.drawer.empty();
        let status = master.setup_status().await.unwrap();
        assert_eq!(status.keyring_problem.unwrap().code, Code::KeyMissing);
        let refused = master.setup_create("Acme").await.unwrap_err();
        assert_eq!(refused.code(), Code::KeyMissing);
        assert_eq!(home.drawer.len(), 0);
    }

    #[tokio::test]
    async fn two_folders_of_one_user_do_not_share_keys() {
        let drawer = Drawer::default();
        let (one, two) = (Home::with(drawer.clone()), Home::with(drawer));
        let (one, two) = (one.open().await, two.open().await);
        one.setup_create("One").await.unwrap();
        two.setup_create("Two").await.unwrap();
        let pins = (
            one.core().secrets.client().await.unwrap().pin(),
            two.core().secrets.client().await.unwrap().pin(),
        );
        assert_ne!(pins.0, pins.1);
    }
}
