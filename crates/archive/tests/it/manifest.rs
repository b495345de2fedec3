//! A signed manifest cannot be changed, swapped or taken out of its chain unnoticed.

use backupd_archive::{Digest, Manifest, SignedManifest, SignerKey};
use backupd_base::{Code, SnapshotId, SourceId};
use ed25519_dalek::{Signer as _, SigningKey};

use crate::{damage::manifest_of, fixture::Snapshot};

fn manifest() -> Manifest {
    manifest_of(&Snapshot::of(|_| ()))
}

fn key() -> SigningKey {
    SigningKey::generate(&mut rand::rngs::OsRng)
}

fn code(bytes: &[u8], signer: &SignerKey) -> Option<Code> {
    SignedManifest::parse_and_verify(bytes, signer)
        .err()
        .map(|e| e.code())
}

#[test]
fn what_was_signed_is_read() {
    let key = key();
    let signer = SignerKey::from(&key);
    let signed = SignedManifest::sign(manifest(), &key).unwrap();
    let read = SignedManifest::parse_and_verify(signed.bytes(), &signer).unwrap();
    assert_eq!(read, signed);
    assert_eq!(read.manifest(), signed.manifest());
    assert_eq!(signer.to_string().parse::<SignerKey>().unwrap(), signer);

    // Reformatting around the manifest harms nothing, and the hash tells it apart.
    let text = String::from_utf8(signed.bytes().to_vec()).unwrap();
    let spaced = text.replacen("{\"manifest\":", "{ \"manifest\" :\n", 1);
    let read = SignedManifest::parse_and_verify(spaced.as_bytes(), &signer).unwrap();
    assert_ne!(read.sha256(), signed.sha256());
}

#[test]
fn every_change_is_noticed() {
    let key = key();
    let signer = SignerKey::from(&key);
    let signed = SignedManifest::sign(manifest(), &key).unwrap();
    let text = String::from_utf8(signed.bytes().to_vec()).unwrap();
    let changes = [
        ("\"entries\":0", "\"entries\":1"),
        ("\"entries\":0", "\"entries\": 0"),
        ("\"consistent\":true", "\"consistent\":false"),
        (
            "\"consistent\":true,\"warnings_count\":0",
            "\"warnings_count\":0,\"consistent\":true",
        ),
        ("\"program\":", "\"extra\":1,\"program\":"),
        ("\"sequence\":1", "\"sequence\":2"),
        ("\"signature\":\"", "\"signature\":\"AA"),
        ("\"signer\":", "\"more\":1,\"signer\":"),
    ];
    for (from, to) in changes {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from} is there");
        assert_eq!(
            code(changed.as_bytes(), &signer),
            Some(Code::Corrupt),
            "{to}"
        );
    }
    for at in 0..text.len() {
        let mut flipped = text.clone().into_bytes();
        flipped[at] ^= 1;
        assert!(code(&flipped, &signer).is_some(), "bit flipped at {at}");
        assert!(code(&flipped[..at], &signer).is_some(), "cut to {at}");
    }
}

#[test]
fn another_signer_is_refused() {
    let (node, thief) = (key(), key());
    let signed = SignedManifest::sign(manifest(), &thief).unwrap();
    assert_eq!(
        code(signed.bytes(), &SignerKey::from(&node)),
        Some(Code::WrongPeer)
    );
    assert!(SignedManifest::parse_self_signed(signed.bytes()).is_ok());

    // The node's name over the thief's signature.
    let text = String::from_utf8(signed.bytes().to_vec()).unwrap();
    let renamed = text.replace(
        &SignerKey::from(&thief).to_string(),
        &SignerKey::from(&node).to_string(),
    );
    assert_eq!(
        code(renamed.as_bytes(), &SignerKey::from(&node)),
        Some(Code::Corrupt)
    );
    assert!(SignedManifest::parse_self_signed(renamed.as_bytes()).is_err());
}

#[test]
fn a_signature_made_for_something_else_does_not_pass() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let key = key();
    let json = serde_json::to_string(&manifest()).unwrap();
    let without_prefix = BASE64_STANDARD.encode(key.sign(json.as_bytes()).to_bytes());
    let signer = SignerKey::from(&key);
    let file =
        format!(r#"{{"manifest":{json},"signer":"{signer}","signature":"{without_prefix}"}}"#);
    assert_eq!(code(file.as_bytes(), &signer), Some(Code::Corrupt));
}

#[test]
fn a_broken_chain_is_noticed() {
    let key = key();
    let sign = |manifest: Manifest| SignedManifest::sign(manifest, &key).unwrap();
    let first = sign(manifest());
    let next = |previous: &SignedManifest| Manifest {
        sequence: previous.manifest().sequence + 1,
        previous: Some(previous.sha256()),
        snapshot_id: SnapshotId::new(),
        ..first.manifest().clone()
    };
    let second = sign(next(&first));
    let third = sign(next(&second));
    first.check_follows(None).unwrap();
    second.check_follows(Some(&first)).unwrap();
    third.check_follows(Some(&second)).unwrap();

    assert!(
        third.check_follows(Some(&first)).is_err(),
        "one was dropped"
    );
    assert!(first.check_follows(Some(&second)).is_err(), "rolled back");
    assert!(second.check_follows(None).is_err(), "the first was dropped");
    let swapped = sign(Manifest {
        entries: 7,
        ..first.manifest().clone()
    });
    assert!(
        second.check_follows(Some(&swapped)).is_err(),
        "the one before was replaced"
    );
    let mut other = next(&first);
    other.source_id = SourceId::new();
    assert!(
        sign(other).check_follows(Some(&first)).is_err(),
        "of another source"
    );
    let mut other = next(&first);
    other.previous = Some(Digest([1; 32]));
    assert!(sign(other).check_follows(Some(&first)).is_err());
}

#[test]
fn a_newer_format_is_told_as_such() {
    let key = key();
    let newer = SignedManifest::sign(
        Manifest {
            format: 2,
            ..manifest()
        },
        &key,
    )
    .unwrap();
    assert_eq!(
        code(newer.bytes(), &SignerKey::from(&key)),
        Some(Code::Incompatible)
    );
}
