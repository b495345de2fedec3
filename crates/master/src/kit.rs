//! The recovery kit: one page to print, with the key that opens every snapshot when this computer
//! is gone, and the commands that do it without this program.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use backupd_archive::Keypair;
use backupd_base::{Code, Context as _, Error, ExposeSecret as _, Result, SecretString};
use backupd_registry::TenantRow;
use chrono::{DateTime, Utc};

const PAGE: &str = include_str!("kit.html");

/// Where the kit is offered to be saved.
pub fn offered_path() -> PathBuf {
    let home = std::env::home_dir().unwrap_or_default();
    let documents = home.join("Documents");
    let folder = if documents.is_dir() { documents } else { home };
    folder.join("backupd-recovery-kit.html")
}

/// Writes the kit to `path`, for its owner only.
///
/// # Errors
/// `AlreadyExists` when something is there, `Invalid` when the path is not absolute.
pub fn save(path: &Path, tenant: &TenantRow, recovery: &Keypair) -> Result<()> {
    if !path.is_absolute() {
        return Err(Error::new(
            Code::Invalid,
            format!("{} is not a whole path", path.display()),
        ));
    }
    let page = render(tenant, recovery, Utc::now());
    let doing = || format!("save the recovery kit to {}", path.display());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(doing)?;
    let written = file
        .write_all(page.expose_secret().as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a kit looks like one.
        std::fs::remove_file(path).ok();
    }
    written.with_context(doing)
}

fn render(tenant: &TenantRow, recovery: &Keypair, at: DateTime<Utc>) -> SecretString {
    let secret = recovery.to_secret();
    let values = [
        ("tenant_name", escape(&tenant.name)),
        ("tenant_id", tenant.id.to_string()),
        ("made", at.format("%Y-%m-%d").to_string()),
        ("recovery_recipient", recovery.recipient().to_string()),
        ("tenant_recipient", escape(&tenant.recipient)),
    ];
    let mut page = PAGE.to_owned();
    for (name, value) in values {
        page = page.replace(&format!("{{{name}}}"), &value);
    }
    page.replace("{recovery_secret}", secret.expose_secret())
        .into()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // The page's own placeholders.
            '{' => out.push_str("&#123;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use backupd_base::TenantId;

    use super::*;

    fn tenant(name: &str, recovery: &Keypair) -> TenantRow {
        TenantRow {
            id: TenantId::new(),
            name: name.into(),
            recipient: Keypair::generate().recipient().to_string(),
            recovery_recipient: recovery.recipient().to_string(),
            kit_saved: false,
            created_at: Utc::now(),
        }
    }

    #[test]
    fn the_page_says_everything_and_nothing_is_left_open() {
        let recovery = Keypair::generate();
        let tenant = tenant("Acme", &recovery);
        let page = render(&tenant, &recovery, Utc::now());
        let page = page.expose_secret();
        for part in [
            "Acme",
            tenant.id.as_str(),
            recovery.to_secret().expose_secret(),
            &tenant.recipient,
            &tenant.recovery_recipient,
            "age -d",
            "zstd -d",
            "tar -x",
        ] {
            assert!(page.contains(part), "{part}");
        }
        for name in [
            "{tenant",
            "{recovery",
            "{made",
            "http://",
            "https://",
            "<script",
        ] {
            assert!(!page.contains(name), "{name}");
        }
    }

    #[test]
    fn a_name_cannot_change_the_page_or_draw_the_key_elsewhere() {
        let recovery = Keypair::generate();
        let tenant = tenant("<img src=x>{recovery_secret}", &recovery);
        let page = render(&tenant, &recovery, Utc::now());
        let page = page.expose_secret();
        assert!(!page.contains("<img"));
        let secret = recovery.to_secret();
        assert_eq!(page.matches(secret.expose_secret()).count(), 1);
    }

    #[test]
    fn a_kit_is_private_and_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kit.html");
        let recovery = Keypair::generate();
        let tenant = tenant("Acme", &recovery);
        save(&path, &tenant, &recovery).unwrap();
        let refused = save(&path, &tenant, &Keypair::generate()).unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.contains(recovery.to_secret().expose_secret()));
        let relative = save(Path::new("kit.html"), &tenant, &recovery).unwrap_err();
        assert_eq!(relative.code(), Code::Invalid);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
