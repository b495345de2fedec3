//! An agent's work without its doors: queue, stores and keys in a temporary folder, inside this
//! process.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
};

use backupd::{
    jobs::{Host, Parts, Patience, Queue},
    journal::Journal,
    live::Live,
    resources::{self, Resources},
    store::{Store, snapshots},
};
use backupd_archive::{Keypair, file_key};
use backupd_base::{Code, Context as _, Error, NodeId, ProviderId, Result, SourceId, TenantId};
use backupd_protocol::{
    Job, JobCreate, LentKeys, RestoreCreate, RestoreTarget, Retention, Snapshot, Source, Stage,
};
use backupd_storage::{Local, S3, S3Credentials, S3Options, SnapshotPrefix, Storage};
use backupd_testkit::{Identity, PATIENCE, SeaweedFs, WordPress, poll_until};
use ed25519_dalek::SigningKey;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

pub struct Node {
    pub runtime: Runtime,
    pub queue: Queue,
    pub parts: Parts,
    pub host: Arc<Configured>,
    pub tenant: Keypair,
    pub recovery: Keypair,
    shutdown: CancellationToken,
    pub folder: tempfile::TempDir,
}

#[derive(Default)]
pub struct Configured {
    sources: Mutex<HashMap<SourceId, Source>>,
    stores: Mutex<HashMap<ProviderId, Arc<dyn Storage>>>,
    buckets: Mutex<HashSet<ProviderId>>,
    failure: Mutex<Option<Code>>,
    stuck: Mutex<Option<ProviderId>>,
    freed: Condvar,
}

impl Configured {
    /// From now on no provider can be opened, for this reason.
    pub fn fail(&self, code: Option<Code>) {
        *self.failure.lock().unwrap() = code;
    }

    /// From now on whoever opens this provider does not come back, until it is another.
    pub fn stick(&self, provider: Option<ProviderId>) {
        *self.stuck.lock().unwrap() = provider;
        self.freed.notify_all();
    }
}

impl Host for Configured {
    fn source(&self, id: &SourceId) -> Result<Source> {
        let sources = self.sources.lock().unwrap();
        sources.get(id).cloned().context("no such source")
    }

    fn storage(&self, id: &ProviderId) -> Result<Arc<dyn Storage>> {
        let stuck = self.stuck.lock().unwrap();
        drop(
            self.freed
                .wait_while(stuck, |stuck| stuck.as_ref() == Some(id))
                .unwrap(),
        );
        if let Some(code) = *self.failure.lock().unwrap() {
            return Err(Error::new(code, "the store was made to fail"));
        }
        let stores = self.stores.lock().unwrap();
        let found = stores.get(id).cloned();
        found.ok_or_else(|| Error::new(Code::NotFound, "no such provider"))
    }

    fn folder(&self, id: &ProviderId) -> Result<Option<Arc<dyn Storage>>> {
        let is_bucket = self.buckets.lock().unwrap().contains(id);
        self.storage(id).map(|store| (!is_bucket).then_some(store))
    }

    fn provider_name(&self, id: &ProviderId) -> String {
        id.to_string()
    }

    fn node_id(&self) -> Option<NodeId> {
        None
    }

    fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }
}

impl Node {
    pub fn start() -> Self {
        Self::with_patience(Patience::default())
    }

    /// One whose jobs may stand still for so long.
    pub fn with_patience(patience: Patience) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("data")).unwrap());
        let live = Live::new();
        let host = Arc::new(Configured::default());
        let parts = Parts {
            host: host.clone(),
            journal: Journal::new(store.clone(), live.clone()),
            store,
            live,
            resources: Resources::new(resources::Configured {
                io: 2,
                network: 2,
                cpu: 2,
                bandwidth_mbps: 0,
            }),
        };
        let runtime = Runtime::new().unwrap();
        let queue = Queue::with_patience(parts.clone(), patience);
        let shutdown = CancellationToken::new();
        let (running, down) = (queue.clone(), shutdown.clone());
        runtime.spawn(async move { running.run(down).await.unwrap() });
        Self {
            runtime,
            queue,
            parts,
            host,
            tenant: Keypair::generate(),
            recovery: Keypair::generate(),
            shutdown,
            folder,
        }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A provider: a folder of that name below the temporary one.
    pub fn local(&self, name: &str) -> (ProviderId, PathBuf) {
        let path = self.folder.path().join(name);
        (self.provider(Arc::new(Local::new(&path).unwrap())), path)
    }

    /// A provider: SeaweedFS' bucket below `prefix`, by way of `endpoint`.
    pub fn s3(&self, endpoint: &str, key: &Identity, prefix: &str) -> ProviderId {
        let id = self.provider(Arc::new(s3(endpoint, key, prefix)));
        self.host.buckets.lock().unwrap().insert(id.clone());
        id
    }

    pub fn provider(&self, storage: Arc<dyn Storage>) -> ProviderId {
        let id = ProviderId::new();
        self.host.stores.lock().unwrap().insert(id.clone(), storage);
        id
    }

    pub fn source(&self, site: &WordPress, providers: &[ProviderId]) -> SourceId {
        self.source_at(site.root(), providers)
    }

    pub fn source_at(&self, root: &Path, providers: &[ProviderId]) -> SourceId {
        let source = Source {
            id: SourceId::new(),
            tenant_id: TenantId::new(),
            name: "Test shop".into(),
            module: "wordpress".into(),
            settings: serde_json::json!({"path": root})
                .as_object()
                .unwrap()
                .clone(),
            providers: providers.to_vec(),
            recipients: vec![
                self.tenant.recipient().to_string(),
                self.recovery.recipient().to_string(),
            ],
            retention: None,
            schedule: None,
        };
        let id = source.id.clone();
        self.host.sources.lock().unwrap().insert(id.clone(), source);
        id
    }

    pub fn set_retention(&self, source: &SourceId, rule: Option<Retention>) {
        let mut sources = self.host.sources.lock().unwrap();
        sources.get_mut(source).unwrap().retention = rule;
    }

    pub fn tenant_of(&self, source: &SourceId) -> TenantId {
        self.host.source(source).unwrap().tenant_id
    }

    pub fn back_up(&self, source: &SourceId) -> Job {
        let create = JobCreate {
            source_id: source.clone(),
            priority: None,
        };
        let job = self.queue.submit_backup(&create).unwrap();
        self.ended(&job)
    }

    /// Asks for a backup that somebody is going to disturb.
    pub fn begin(&self, source: &SourceId) -> Job {
        let create = JobCreate {
            source_id: source.clone(),
            priority: None,
        };
        self.queue.submit_backup(&create).unwrap()
    }

    pub fn snapshots(&self) -> Vec<Snapshot> {
        let list = self.parts.store.read(|db| snapshots::list(db, None));
        list.unwrap()
    }

    pub fn restore(
        &self,
        snapshot: &Snapshot,
        provider: &ProviderId,
        paths: &[&str],
        target: RestoreTarget,
    ) -> Job {
        let job = self.queue.submit_restore(RestoreCreate {
            snapshot_id: snapshot.id.clone(),
            provider_id: provider.clone(),
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
            target,
            keys: self.lend(snapshot, provider),
        });
        self.ended(&job.unwrap())
    }

    /// As the master does: the file keys of one snapshot, unwrapped with the tenant's key.
    pub fn lend(&self, snapshot: &Snapshot, provider: &ProviderId) -> LentKeys {
        let storage = self.host.storage(provider).unwrap();
        let prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, &snapshot.id);
        let key = |key| {
            let head = self
                .runtime
                .block_on(storage.get_range(key, 0..4096))
                .unwrap();
            file_key(&*head, &self.tenant).unwrap().to_base64()
        };
        LentKeys {
            archive: key(&prefix.archive()),
            index: key(&prefix.index()),
        }
    }

    /// Waits for something to be true of a job.
    pub fn wait(&self, job: &Job, is: impl Fn(&Job) -> bool) -> Job {
        poll_until(PATIENCE, "change of the job", || {
            Some(self.queue.get(&job.id).unwrap()).filter(&is)
        })
    }

    pub fn ended(&self, job: &Job) -> Job {
        poll_until(PATIENCE, "end of the job", || {
            let job = self.queue.get(&job.id).unwrap();
            job.state.is_final().then_some(job)
        })
    }
}

pub fn s3(endpoint: &str, key: &Identity, prefix: &str) -> S3 {
    let options = S3Options {
        endpoint: endpoint.to_owned(),
        region: "us-east-1".into(),
        bucket: SeaweedFs::BUCKET.into(),
        prefix: prefix.to_owned(),
        path_style: true,
    };
    let credentials = S3Credentials {
        access_key_id: key.access_key.clone(),
        secret_access_key: key.secret_key.clone().into(),
    };
    S3::new(options, credentials).unwrap()
}

/// A stage of a job by its name.
pub fn stage<'a>(job: &'a Job, name: &str) -> &'a Stage {
    job.stages.iter().find(|s| s.name == name).unwrap()
}

impl Drop for Node {
    fn drop(&mut self) {
        // The end of the runtime waits for who is stuck.
        self.host.stick(None);
        self.shutdown.cancel();
    }
}
