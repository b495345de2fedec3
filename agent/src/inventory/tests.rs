//! What each side may change, and what is kept of it.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _};

use backupd_base::ExposeSecret as _;
use backupd_protocol::S3Credentials;

use super::*;
use crate::config::{Config, ProviderEntry, ProviderPlace, SourceEntry, THIS_SERVER};

const CANARY: &str = "canary-secret-access-key";

fn inventory() -> (tempfile::TempDir, Inventory) {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let keys = Arc::new(NodeKeys::open(&store).unwrap());
    let inventory = Inventory::new(store, keys);
    inventory.settle(&Config::default()).unwrap();
    (dir, inventory)
}

fn sealed_for(recipient: &str) -> String {
    let credentials = S3Credentials {
        access_key_id: "key".into(),
        secret_access_key: CANARY.into(),
    };
    let recipient: age::x25519::Recipient = recipient.parse().unwrap();
    age::encrypt_and_armor(
        &recipient,
        credentials.to_secret_json().expose_secret().as_bytes(),
    )
    .unwrap()
}

fn bucket(sealed: Option<String>) -> Provider {
    Provider {
        id: "bucket-1".parse().unwrap(),
        name: "bucket".into(),
        kind: ProviderKind::S3 {
            endpoint: "http://127.0.0.1:1".into(),
            region: "eu".into(),
            bucket: "bucket".into(),
            prefix: String::new(),
            path_style: true,
        },
        sealed_credentials: sealed,
    }
}

fn entry(name: &str, path: &str) -> SourceEntry {
    SourceEntry {
        name: name.into(),
        module: "wordpress".into(),
        path: path.into(),
        settings: toml::Table::new(),
        providers: vec![THIS_SERVER.into()],
        retention: None,
        schedule: None,
    }
}

#[test]
fn this_server_is_always_a_store_under_one_id() {
    let (_dir, inventory) = inventory();
    let first = inventory.providers().unwrap();
    inventory.settle(&Config::default()).unwrap();
    assert_eq!(inventory.providers().unwrap(), first);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].name, "This server");
    inventory.storage(&first[0].id).unwrap();
}

#[test]
fn credentials_are_kept_sealed_and_told_to_nobody() {
    let (dir, inventory) = inventory();
    let sealed = sealed_for(&inventory.keys.seal_recipient());
    inventory.put_provider(bucket(Some(sealed))).unwrap();
    // Put again without: kept.
    inventory.put_provider(bucket(None)).unwrap();
    let id = bucket(None).id;
    let kept = inventory
        .store
        .read(|db| providers::get(db, &id))
        .unwrap()
        .unwrap();
    let credentials = inventory.credentials(&kept).unwrap();
    assert_eq!(credentials.secret_access_key.expose_secret(), CANARY);
    let listed = inventory.providers().unwrap();
    assert!(listed.iter().all(|p| p.sealed_credentials.is_none()));
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

#[test]
fn credentials_sealed_for_another_node_are_refused_without_a_word_of_them() {
    let (_dir, inventory) = inventory();
    let other = age::x25519::Identity::generate().to_public().to_string();
    for sealed in [sealed_for(&other), "rubbish".into()] {
        let error = inventory.put_provider(bucket(Some(sealed))).unwrap_err();
        assert_eq!(error.code(), Code::Invalid, "{error}");
        assert!(!error.to_string().contains(CANARY));
    }
    assert_eq!(inventory.providers().unwrap().len(), 1);
    let error = inventory.put_provider(bucket(None)).unwrap_err();
    assert_eq!(error.code(), Code::KeyMissing);
}

#[test]
fn a_credentials_file_must_be_private_and_is_never_quoted() {
    let (dir, inventory) = inventory();
    let path = dir.path().join("s3.toml");
    let kept = Kept {
        origin: Origin::Config,
        provider: bucket(None),
        credentials_file: Some(path.clone()),
    };
    let write = |text: &str, mode| {
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let right = format!("access_key_id = \"a\"\nsecret_access_key = \"{CANARY}\"\n");
    write(&right, 0o600);
    inventory.credentials(&kept).unwrap();
    write(&right, 0o644);
    assert_eq!(
        inventory.credentials(&kept).unwrap_err().code(),
        Code::Denied
    );
    write(&format!("secret_key = \"{CANARY}\""), 0o600);
    let error = inventory.credentials(&kept).unwrap_err();
    assert_eq!(error.code(), Code::Invalid);
    assert!(!error.to_string().contains(CANARY), "{error}");
}

#[test]
fn what_is_configured_by_hand_keeps_its_ids_and_goes_with_the_file() {
    let (_dir, inventory) = inventory();
    let mut config = Config {
        providers: vec![ProviderEntry {
            name: "disk".into(),
            place: ProviderPlace::Local {
                path: "/mnt/disk".into(),
            },
        }],
        sources: vec![
            entry("shop", "/var/www/shop"),
            entry("blog", "/var/www/blog"),
        ],
        ..Config::default()
    };
    inventory.settle(&config).unwrap();
    let before = inventory.sources().unwrap();
    assert_eq!(before.len(), 2);
    config.sources.retain(|s| s.name == "shop");
    config.sources[0].path = "/srv/shop".into();
    config.providers.clear();
    inventory.settle(&config).unwrap();
    let after = inventory.sources().unwrap();
    assert_eq!(after.len(), 1);
    let shop = before.iter().find(|s| s.name == "shop").unwrap();
    assert_eq!(after[0].id, shop.id);
    assert_eq!(after[0].tenant_id, shop.tenant_id);
    assert_eq!(after[0].settings["path"], "/srv/shop");
    assert_eq!(inventory.providers().unwrap().len(), 1);
}

#[test]
fn the_master_cannot_change_what_the_file_says() {
    let (_dir, inventory) = inventory();
    let config = Config {
        sources: vec![entry("shop", "/var/www/shop")],
        ..Config::default()
    };
    inventory.settle(&config).unwrap();
    let source = inventory.sources().unwrap().remove(0);
    let denied = inventory.delete_source(&source.id).unwrap_err();
    assert_eq!(denied.code(), Code::Denied);
    let this_server = inventory.providers().unwrap().remove(0);
    let denied = inventory.delete_provider(&this_server.id).unwrap_err();
    assert_eq!(denied.code(), Code::Denied);
    let denied = inventory.put_provider(this_server).unwrap_err();
    assert_eq!(denied.code(), Code::Denied);
    inventory.delete_source(&SourceId::new()).unwrap();
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused() {
    let (dir, inventory) = inventory();
    let config = Config {
        sources: vec![SourceEntry {
            path: dir.path().into(),
            ..entry("shop", "/")
        }],
        recipients: vec![
            age::x25519::Identity::generate().to_public().to_string(),
            age::x25519::Identity::generate().to_public().to_string(),
        ],
        ..Config::default()
    };
    inventory.settle(&config).unwrap();
    let mut source = inventory.sources().unwrap().remove(0);
    // As an agent before there were schedules wrote it.
    let mut old = serde_json::to_value(&source).unwrap();
    old.as_object_mut().unwrap().remove("schedule");
    assert_eq!(serde_json::from_value::<Source>(old).unwrap(), source);
    source.id = SourceId::new();
    let schedule = |expression: &str| {
        serde_json::from_value(
            serde_json::json!({"rule": {"type": "cron", "expression": expression}}),
        )
    };
    source.schedule = schedule("0 3 30 2 *").unwrap();
    let error = inventory.put_source(source.clone()).unwrap_err();
    assert_eq!(error.code(), Code::Invalid);
    assert!(error.to_string().contains("\"0 3 30 2 *\""), "{error}");
    source.schedule = schedule("0 3 * * *").unwrap();
    inventory.put_source(source).unwrap();
}
