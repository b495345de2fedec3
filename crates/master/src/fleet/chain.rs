//! Believing a node's snapshots: every manifest signed with the pinned key, each naming the one
//! before it, none dropped, none swapped. What a retention removed is shown as a link of the chain all
//! the same, signed as it was. The master remembers the head; a node that was taken over
//! can neither rewrite its past nor roll it back unnoticed.

use std::collections::HashSet;

use backupd_archive::SignedManifest;
use backupd_base::{Code, Context as _, Error, Result, SnapshotId};
use backupd_protocol::{RemovedSnapshot, Snapshot};
use backupd_registry::{NodeRow, SnapshotRow, SourceRow};

/// Whether the code says that a snapshot is not to be believed, rather than not to be had now.
pub fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::Corrupt | Code::WrongPeer | Code::Conflict | Code::NotFound | Code::Incompatible
    )
}

/// What a node lists, against what is known.
#[derive(Debug, Default, PartialEq)]
pub struct News {
    /// What follows the head, oldest first.
    pub new: Vec<New>,
    /// Known ones that the node removed.
    pub gone: Vec<SnapshotId>,
}

/// A link after the head.
#[derive(Debug, PartialEq)]
pub enum New {
    /// A snapshot.
    There(Snapshot),
    /// One that came and went while nobody looked.
    Gone(RemovedSnapshot),
}

impl New {
    fn sequence(&self) -> u64 {
        match self {
            Self::There(snapshot) => snapshot.sequence,
            Self::Gone(removed) => removed.sequence,
        }
    }
}

/// After which link the node must say what it removed, for the list to make sense; none when it
/// does as it is.
pub fn unexplained(source: &SourceRow, known: &[SnapshotRow], listed: &[Snapshot]) -> Option<u64> {
    let is_listed = |row: &&SnapshotRow| listed.iter().any(|s| s.id == row.id);
    let missing = known.iter().filter(|row| !is_listed(row));
    let missing = missing.map(|row| row.sequence - 1).min();
    let after = listed.iter().filter(|s| s.sequence > source.head_sequence);
    let newest = after.clone().map(|s| s.sequence).max();
    let has_gap = newest.is_some_and(|n| n - source.head_sequence > after.count() as u64);
    let gap = has_gap.then_some(source.head_sequence);
    missing.into_iter().chain(gap).min()
}

/// What is new among the `listed`, and what went. `removed`: what the node says it removed;
/// `removed_here`: what was removed from here, and the node may still list.
///
/// # Errors
/// `Corrupt` when the list contradicts what is known: a snapshot that is gone without a word,
/// changed, new below the head, or missing in between.
pub fn news(
    source: &SourceRow,
    known: &[SnapshotRow],
    mut listed: Vec<Snapshot>,
    removed: Vec<RemovedSnapshot>,
    removed_here: &HashSet<SnapshotId>,
) -> Result<News> {
    let broken = |what: String| Err(Error::new(Code::Corrupt, what));
    let mut news = News::default();
    for row in known {
        let Some(now) = listed.iter().find(|s| s.id == row.id) else {
            let told = removed.iter().any(|r| {
                r.id == row.id
                    && r.sequence == row.sequence
                    && r.manifest_sha256 == sha256_of(&row.manifest)
            });
            if told {
                news.gone.push(row.id.clone());
                continue;
            }
            return broken(format!(
                "the server no longer lists snapshot {} of {}",
                row.sequence, source.name
            ));
        };
        if now.sequence != row.sequence || now.manifest_sha256 != sha256_of(&row.manifest) {
            return broken(format!(
                "the server lists snapshot {} of {} with another manifest than before",
                row.sequence, source.name
            ));
        }
    }
    listed.retain(|s| !known.iter().any(|row| row.id == s.id) && !removed_here.contains(&s.id));
    news.new = listed.into_iter().map(New::There).collect();
    let gone = removed.into_iter();
    let gone = gone.filter(|r| r.sequence > source.head_sequence);
    news.new.extend(gone.map(New::Gone));
    news.new.sort_by_key(New::sequence);
    for (expected, link) in (source.head_sequence + 1..).zip(&news.new) {
        if link.sequence() != expected {
            return broken(format!(
                "the server lists snapshot {} of {} where {expected} must follow",
                link.sequence(),
                source.name
            ));
        }
    }
    Ok(news)
}

/// A removed snapshot as the node would have listed it, and its manifest.
///
/// # Errors
/// `Corrupt` when the node does not show the manifest.
pub fn as_listed(source: &SourceRow, removed: &RemovedSnapshot) -> Result<(Snapshot, Vec<u8>)> {
    let Some(manifest) = &removed.manifest else {
        let what = format!(
            "the server does not show the manifest of snapshot {} of {}, which it removed",
            removed.sequence, source.name
        );
        return Err(Error::new(Code::Corrupt, what));
    };
    let bytes = manifest.clone().into_bytes();
    // Only what is compared with the signed manifest counts.
    let claimed = SignedManifest::parse_self_signed(&bytes)?;
    let claimed = claimed.manifest();
    let snapshot = Snapshot {
        id: removed.id.clone(),
        tenant_id: claimed.tenant_id.clone(),
        source_id: removed.source_id.clone(),
        job_id: claimed.job_id.clone(),
        providers: Vec::new(),
        sequence: removed.sequence,
        created_at: claimed.created_at,
        stored_bytes: claimed.archive.bytes,
        content_bytes: claimed.content_bytes,
        files: claimed.entries,
        manifest_sha256: removed.manifest_sha256.clone(),
        consistent: claimed.consistent,
        warnings: Vec::new(),
        held: false,
    };
    Ok((snapshot, bytes))
}

/// The row of a new snapshot, after its manifest was checked against everything known, and the
/// manifest's SHA-256. What the node lists beside it is believed only where it agrees.
///
/// # Errors
/// `Corrupt` or `WrongPeer` when it does not hold.
pub fn verified(
    node: &NodeRow,
    source: &SourceRow,
    listed: &Snapshot,
    bytes: &[u8],
    previous: Option<&str>,
) -> Result<(SnapshotRow, String)> {
    let signer = node.signing_key.parse().context("read the pinned key")?;
    let signed = SignedManifest::parse_and_verify(bytes, &signer)?;
    let manifest = signed.manifest();
    let sha256 = sha256_of(bytes);
    let names = [
        ("tenant", manifest.tenant_id == source.tenant_id),
        ("source", manifest.source_id == source.id),
        ("snapshot", manifest.snapshot_id == listed.id),
        ("sequence", manifest.sequence == listed.sequence),
        ("SHA-256", listed.manifest_sha256 == sha256),
        (
            "previous manifest",
            manifest
                .previous
                .as_ref()
                .map(ToString::to_string)
                .as_deref()
                == previous,
        ),
        (
            "recipients",
            source
                .recipients
                .iter()
                .all(|r| manifest.recipients.contains(r)),
        ),
    ];
    if let Some((what, _)) = names.iter().find(|(_, agrees)| !agrees) {
        return Err(Error::new(
            Code::Corrupt,
            format!("the manifest is signed, but not for this {what}"),
        ));
    }
    let snapshot = Snapshot {
        id: manifest.snapshot_id.clone(),
        tenant_id: manifest.tenant_id.clone(),
        source_id: manifest.source_id.clone(),
        job_id: manifest.job_id.clone(),
        providers: listed.providers.clone(),
        sequence: manifest.sequence,
        created_at: manifest.created_at,
        stored_bytes: manifest.archive.bytes + manifest.index.bytes,
        content_bytes: manifest.content_bytes,
        files: manifest.entries,
        manifest_sha256: sha256.clone(),
        consistent: manifest.consistent,
        warnings: listed.warnings.clone(),
        held: listed.held,
    };
    let row = SnapshotRow {
        id: snapshot.id.clone(),
        source_id: source.id.clone(),
        sequence: snapshot.sequence,
        created_at: snapshot.created_at,
        stored_bytes: snapshot.stored_bytes,
        providers: snapshot.providers.clone(),
        body: serde_json::to_string(&snapshot).context("write the snapshot")?,
        manifest: bytes.to_vec(),
        held: listed.held,
    };
    Ok((row, sha256))
}

fn sha256_of(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use backupd_archive::{Digest, FORMAT, Manifest, ManifestObject, SignerKey};
    use backupd_base::{JobId, NodeId, ProviderId, SnapshotId, SourceId, TenantId};
    use chrono::Utc;
    use ed25519_dalek::SigningKey;

    use super::*;

    /// A node, its source, and the key it signs with.
    struct Side {
        key: SigningKey,
        node: NodeRow,
        source: SourceRow,
        known: Vec<SnapshotRow>,
    }

    impl Side {
        fn new() -> Self {
            let key = SigningKey::generate(&mut rand::rngs::OsRng);
            let tenant_id = TenantId::new();
            let node = NodeRow {
                id: NodeId::new(),
                tenant_id: tenant_id.clone(),
                name: "web-1".into(),
                address: "192.0.2.7:8000".into(),
                os: String::new(),
                agent_version: String::new(),
                tls_pin: None,
                signing_key: SignerKey::from(&key).to_string(),
                seal_recipient: String::new(),
                enrolled_at: Utc::now(),
                last_seen: None,
                revoked_at: None,
            };
            let source = SourceRow {
                id: SourceId::new(),
                node_id: node.id.clone(),
                tenant_id,
                name: "shop.example".into(),
                module: "wordpress".into(),
                settings: "{}".into(),
                providers: Vec::new(),
                recipients: vec!["age1tenant".into(), "age1paper".into()],
                created_at: Utc::now(),
                removed_at: None,
                head_sequence: 0,
                head_sha256: None,
                refused: None,
                retention: None,
                schedule: None,
            };
            Self {
                key,
                node,
                source,
                known: Vec::new(),
            }
        }

        fn manifest(&self, sequence: u64) -> Manifest {
            let object = |name: &str, bytes| ManifestObject {
                name: name.into(),
                bytes,
                sha256: Digest([7; 32]),
            };
            let previous = self.source.head_sha256.as_ref();
            Manifest {
                format: FORMAT,
                tenant_id: self.source.tenant_id.clone(),
                source_id: self.source.id.clone(),
                snapshot_id: SnapshotId::new(),
                job_id: JobId::new(),
                node_id: Some(self.node.id.clone()),
                module: "wordpress".into(),
                sequence,
                previous: previous.map(|hex| hex.parse().unwrap()),
                created_at: Utc::now(),
                archive: object("backup.tar.zst.age", 1000),
                index: object("index.jsonl.zst.age", 10),
                content_bytes: 5000,
                entries: 3,
                consistent: true,
                warnings_count: 0,
                recipients: self.source.recipients.clone(),
                program: "backupd 0.1.0".into(),
            }
        }

        fn sign(&self, manifest: Manifest) -> (Snapshot, Vec<u8>) {
            let signed = SignedManifest::sign(manifest, &self.key).unwrap();
            let manifest = signed.manifest();
            let listed = Snapshot {
                id: manifest.snapshot_id.clone(),
                tenant_id: manifest.tenant_id.clone(),
                source_id: manifest.source_id.clone(),
                job_id: manifest.job_id.clone(),
                providers: vec![ProviderId::new()],
                sequence: manifest.sequence,
                created_at: manifest.created_at,
                stored_bytes: 1,
                content_bytes: 1,
                files: 1,
                manifest_sha256: signed.sha256().to_string(),
                consistent: true,
                warnings: Vec::new(),
                held: false,
            };
            (listed, signed.bytes().to_vec())
        }

        fn check(&self, listed: &Snapshot, bytes: &[u8]) -> Result<(SnapshotRow, String)> {
            let head = self.source.head_sha256.as_deref();
            verified(&self.node, &self.source, listed, bytes, head)
        }

        /// Takes in the next snapshot, as the registry would.
        fn grow(&mut self) -> Snapshot {
            let (listed, bytes) = self.sign(self.manifest(self.source.head_sequence + 1));
            let (row, sha256) = self.check(&listed, &bytes).unwrap();
            self.source.head_sequence = row.sequence;
            self.source.head_sha256 = Some(sha256);
            self.known.push(row);
            listed
        }

        fn next(&self, listed: &[&Snapshot]) -> Result<Vec<Snapshot>> {
            let news = self.news(listed, Vec::new(), &HashSet::new())?;
            let there = |link| match link {
                New::There(snapshot) => snapshot,
                New::Gone(removed) => panic!("{removed:?}"),
            };
            Ok(news.new.into_iter().map(there).collect())
        }

        fn news(
            &self,
            listed: &[&Snapshot],
            removed: Vec<RemovedSnapshot>,
            here: &HashSet<SnapshotId>,
        ) -> Result<News> {
            let listed = listed.iter().map(|s| (*s).clone()).collect();
            news(&self.source, &self.known, listed, removed, here)
        }
    }

    fn refused<T>(outcome: Result<T>) -> Code {
        outcome.err().expect("it must be refused").code()
    }

    #[test]
    fn a_chain_grows_and_says_what_the_manifest_says() {
        let mut side = Side::new();
        let first = side.grow();
        let second = side.grow();
        assert_eq!(side.known[0].stored_bytes, 1010);
        let (third, _) = side.sign(side.manifest(3));
        let (fourth, _) = side.sign(side.manifest(4));
        let new = side.next(&[&fourth, &second, &third, &first]).unwrap();
        assert_eq!(new, [third, fourth]);
    }

    #[test]
    fn a_snapshot_that_is_gone_or_changed_is_noticed() {
        let mut side = Side::new();
        let first = side.grow();
        let mut second = side.grow();
        assert_eq!(refused(side.next(&[&second])), Code::Corrupt);
        second.manifest_sha256 = "00".repeat(32);
        assert_eq!(refused(side.next(&[&first, &second])), Code::Corrupt);
    }

    #[test]
    fn history_cannot_be_rolled_back_or_skipped() {
        let mut side = Side::new();
        let first = side.grow();
        let second = side.grow();
        for sequence in [1, 2, 4] {
            let (forged, _) = side.sign(side.manifest(sequence));
            let outcome = side.next(&[&first, &second, &forged]);
            assert_eq!(refused(outcome), Code::Corrupt, "sequence {sequence}");
        }
    }

    fn removed(snapshot: &Snapshot, manifest: Option<&[u8]>) -> RemovedSnapshot {
        RemovedSnapshot {
            id: snapshot.id.clone(),
            source_id: snapshot.source_id.clone(),
            sequence: snapshot.sequence,
            manifest_sha256: snapshot.manifest_sha256.clone(),
            manifest: manifest.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()),
            removed_at: Utc::now(),
        }
    }

    #[test]
    fn what_retention_removed_is_no_gap() {
        let mut side = Side::new();
        let (first, second) = (side.grow(), side.grow());
        assert_eq!(
            unexplained(&side.source, &side.known, &[first.clone(), second.clone()]),
            None
        );
        // The node removed a known one.
        let listed = [second.clone()];
        assert_eq!(unexplained(&side.source, &side.known, &listed), Some(0));
        let none = HashSet::new();
        let told = side
            .news(&[&second], vec![removed(&first, None)], &none)
            .unwrap();
        assert_eq!(told.gone, std::slice::from_ref(&first.id));
        // Told of another manifest, it is not believed.
        let mut other = removed(&first, None);
        other.manifest_sha256 = "00".repeat(32);
        assert_eq!(
            refused(side.news(&[&second], vec![other], &none)),
            Code::Corrupt
        );
        // One came and went unseen, and is shown signed.
        let (third, bytes) = side.sign(side.manifest(3));
        let (fourth, _) = side.sign(side.manifest(4));
        let listed = [first.clone(), second.clone(), fourth.clone()];
        assert_eq!(unexplained(&side.source, &side.known, &listed), Some(2));
        let link = removed(&third, Some(&bytes));
        let told = side
            .news(&[&first, &second, &fourth], vec![link.clone()], &none)
            .unwrap();
        assert_eq!(told.new, [New::Gone(link.clone()), New::There(fourth)]);
        let (shown, bytes) = as_listed(&side.source, &link).unwrap();
        assert!(side.check(&shown, &bytes).is_ok());
        assert_eq!(
            refused(as_listed(&side.source, &removed(&third, None))),
            Code::Corrupt
        );
        // Removed from here, and still listed there.
        side.known.remove(0);
        let here = HashSet::from([first.id.clone()]);
        let told = side.news(&[&first, &second], Vec::new(), &here).unwrap();
        assert_eq!(told, News::default());
        assert_eq!(refused(side.next(&[&first, &second])), Code::Corrupt);
    }

    #[test]
    fn another_key_is_not_believed() {
        let side = Side::new();
        let thief = Side::new();
        let (listed, bytes) = thief.sign(side.manifest(1));
        assert_eq!(refused(side.check(&listed, &bytes)), Code::WrongPeer);
    }

    #[test]
    fn a_signature_for_anything_else_is_not_believed() {
        let mut side = Side::new();
        side.grow();
        type Change = fn(&mut Manifest);
        let changes: [(&str, Change); 5] = [
            ("tenant", |m| m.tenant_id = TenantId::new()),
            ("source", |m| m.source_id = SourceId::new()),
            ("previous manifest", |m| m.previous = None),
            ("previous manifest", |m| m.previous = Some(Digest([1; 32]))),
            ("recipients", |m| m.recipients.truncate(1)),
        ];
        for (what, change) in changes {
            let mut manifest = side.manifest(2);
            change(&mut manifest);
            let (listed, bytes) = side.sign(manifest);
            let error = side.check(&listed, &bytes).unwrap_err();
            assert_eq!(error.code(), Code::Corrupt);
            assert!(error.to_string().ends_with(what), "{what}: {error}");
        }
        let (mut listed, bytes) = side.sign(side.manifest(2));
        listed.id = SnapshotId::new();
        assert_eq!(refused(side.check(&listed, &bytes)), Code::Corrupt);
        let (listed, mut bytes) = side.sign(side.manifest(2));
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        assert_eq!(refused(side.check(&listed, &bytes)), Code::Corrupt);
    }
}
