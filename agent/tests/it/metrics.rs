//! What monitoring reads: right after real backups, in a grammar Prometheus takes, from the API and
//! from the command line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
};

use backupd::{metrics, resources::Holder, store::schedules};
use backupd_base::{JobId, SourceId, TenantId};
use backupd_policy::schedule::{Rule, Schedule};
use backupd_protocol::{Job, JobCreate, RunOutcome, ScheduledRun, Snapshot, Source};
use backupd_testkit::{MariaDb, WordPress, poll_until};
use hyper::{Method, StatusCode};
use tokio::runtime::Runtime;

use crate::{
    killed::{Daemon, backupd},
    support::{LONG, Master, Node, enrolled, until},
};

/// Every series with its labels in order, and its value.
type Series = BTreeMap<(String, Vec<(String, String)>), f64>;

/// Reads the text format as strictly as it is written: families in one piece, each with its help
/// and type before its samples, no series twice, nothing else.
fn parse(text: &str) -> (Series, BTreeSet<String>) {
    let (mut series, mut families) = (Series::new(), BTreeSet::new());
    let mut family = String::new();
    let mut lines = text.strip_suffix('\n').unwrap().split('\n').peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(
                !help.is_empty() && families.insert(name.to_owned()),
                "{line}"
            );
            let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            let (typed, kind) = kind.split_once(' ').unwrap();
            assert_eq!((typed, kind == "counter"), (name, name.ends_with("_total")));
            assert!(["counter", "gauge"].contains(&kind));
            family = name.to_owned();
            continue;
        }
        let (name, labels, value) = sample(line);
        assert_eq!(name, family, "{line}");
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite(), "{line}");
        assert!(series.insert((name, labels), value).is_none(), "{line}");
    }
    (series, families)
}

fn sample(line: &str) -> (String, Vec<(String, String)>, &str) {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    let is_name =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    assert!(is_name(name), "{line}");
    let mut labels = Vec::new();
    while let Some(label) = rest.strip_prefix(['{', ',']) {
        let (key, quoted) = label.split_once("=\"").unwrap();
        assert!(is_name(key), "{line}");
        let (mut value, mut chars) = (String::new(), quoted.char_indices());
        let close = loop {
            match chars.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("\\{c} in {line}"),
                }),
                (_, c) => value.push(c),
            }
        };
        labels.push((key.to_owned(), value));
        rest = &quoted[close + 1..];
    }
    let rest = rest.strip_prefix('}').unwrap_or(rest);
    (name.to_owned(), labels, rest.strip_prefix(' ').unwrap())
}

/// An enrolled node and its master.
struct Scraped {
    runtime: Runtime,
    node: Node,
    master: Master,
}

impl Scraped {
    fn text(&self) -> String {
        let (status, kind, bytes) = self.runtime.block_on(async {
            let mut dialled = self.master.dial(&self.node).await;
            let key = Some(self.master.key());
            dialled
                .raw(Method::GET, "/metrics", key, None)
                .await
                .unwrap()
        });
        assert_eq!(status, StatusCode::OK);
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        String::from_utf8(bytes.into()).unwrap()
    }

    fn put(&self, site: &WordPress, name: &str, schedule: Option<Schedule>) -> Source {
        let agent = self.node.running.agent();
        let settings = serde_json::json!({"path": site.root()});
        let source = Source {
            id: SourceId::new(),
            tenant_id: TenantId::new(),
            name: name.to_owned(),
            module: "wordpress".into(),
            settings: settings.as_object().unwrap().clone(),
            providers: vec![agent.inventory.providers().unwrap()[0].id.clone()],
            recipients: self.master.enrolment.recipients.clone(),
            retention: None,
            schedule,
        };
        agent.inventory.put_source(source.clone()).unwrap();
        source
    }

    fn back_up(&self, source: &Source) -> Job {
        let queue = &self.node.running.agent().queue;
        let create = JobCreate {
            source_id: source.id.clone(),
            priority: None,
        };
        let job = queue.submit_backup(&create).unwrap();
        poll_until(LONG, "end of the backup", || {
            Some(queue.get(&job.id).unwrap()).filter(|job| job.state.is_final())
        })
    }
}

/// Of one source: `backupd_source_` and `name`.
fn of(series: &Series, source: &Source, name: &str) -> Option<f64> {
    let labels = vec![
        ("source_id".to_owned(), source.id.to_string()),
        ("source".to_owned(), source.name.clone()),
    ];
    let name = format!("backupd_source_{name}");
    series.get(&(name, labels)).copied()
}

fn with(series: &Series, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    series[&(name.to_owned(), labels.collect::<Vec<_>>())]
}

/// The one state a source's newest job is in.
fn state(series: &Series, source: &Source) -> Vec<String> {
    let states = series.iter().filter(|((name, labels), value)| {
        name == "backupd_source_last_job_state"
            && labels[0].1 == source.id.as_str()
            && **value == 1.0
    });
    states.map(|((_, labels), _)| labels[2].1.clone()).collect()
}

fn seconds(at: chrono::DateTime<chrono::Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

#[test]
fn after_real_backups_the_values_are_those_of_jobs_and_snapshots() {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    site.fill(5, 1, 1, 3);
    let runtime = Runtime::new().unwrap();
    let (node, master) = runtime.block_on(enrolled());
    let it = Scraped {
        runtime,
        node,
        master,
    };
    let agent = it.node.running.agent();
    // Not while the test runs.
    let at = chrono::Utc::now() + chrono::TimeDelta::hours(12);
    let at = at.format("%H:%M").to_string();
    let daily = Schedule {
        rule: Rule::Daily { at },
        time_zone: "UTC".into(),
        jitter_seconds: 0,
    };
    // As odd as names get, and once more.
    let name = "Ann's \"shop\"\\\n# TYPE x gauge\nx{a=\"b\"} 1 ü";
    let shop = it.put(&site, name, Some(daily));
    let twin = it.put(&site, name, None);

    let (first, _) = parse(&it.text());
    assert_eq!(
        of(&first, &shop, "last_success_timestamp_seconds"),
        Some(0.0)
    );
    assert_eq!(of(&first, &shop, "last_success_duration_seconds"), None);
    assert_eq!(of(&first, &shop, "last_snapshot_files"), None);
    assert_eq!(of(&first, &shop, "snapshots"), Some(0.0));
    assert_eq!(state(&first, &shop), [""; 0]);
    let next = agent.scheduler.list().unwrap()[0].next[0];
    let told = of(&first, &shop, "next_run_timestamp_seconds");
    assert_eq!(told, Some(seconds(next)));
    assert_eq!(of(&first, &twin, "next_run_timestamp_seconds"), None);

    it.back_up(&shop);
    let due = "2026-03-01T02:00:00Z".parse().unwrap();
    let run = ScheduledRun {
        due,
        handled_at: due,
        outcome: RunOutcome::Submitted,
        reason: None,
        job_id: None,
    };
    let put = agent
        .store
        .write(|tx| schedules::put_run(tx, &shop.id, &run));
    put.unwrap();
    let job = it.back_up(&shop);
    let list = agent
        .store
        .read(|db| backupd::store::snapshots::list(db, Some(&shop.id)));
    let list: Vec<Snapshot> = list.unwrap();
    let newest = &list[0];
    assert_eq!(Some(&newest.id), job.snapshot_id.as_ref(), "{job:#?}");
    let (series, _) = parse(&it.text());
    let (began, ended) = (job.started_at.unwrap(), job.finished_at.unwrap());
    for (name, value) in [
        ("last_success_timestamp_seconds", seconds(ended)),
        (
            "last_success_duration_seconds",
            (ended - began).as_seconds_f64(),
        ),
        ("last_snapshot_content_bytes", newest.content_bytes as f64),
        ("last_snapshot_stored_bytes", newest.stored_bytes as f64),
        ("last_snapshot_files", newest.files as f64),
        ("snapshots", 2.0),
        ("last_due_timestamp_seconds", seconds(due)),
        ("failures_in_a_row", 0.0),
    ] {
        assert_eq!(of(&series, &shop, name), Some(value), "{name}");
    }
    assert!(newest.content_bytes > 1 << 20 && newest.files > 100);
    assert_eq!(state(&series, &shop), ["completed"]);
    assert_eq!(state(&series, &twin), [""; 0]);
    let jobs = |state| with(&series, "backupd_jobs", &[("state", state)]);
    assert_eq!((jobs("completed"), jobs("failed")), (2.0, 0.0));
    let last = agent.journal.last().unwrap() as f64;
    assert_eq!(with(&series, "backupd_journal_events_total", &[]), last);
    let io = |name| with(&series, name, &[("resource", "io")]);
    assert_eq!(io("backupd_resource_places"), 2.0);
    assert_eq!(
        (io("backupd_resource_held"), io("backupd_resource_waiting")),
        (0.0, 0.0)
    );
    let (free, size) = (
        with(&series, "backupd_data_disk_free_bytes", &[]),
        with(&series, "backupd_data_disk_size_bytes", &[]),
    );
    assert!(0.0 < free && free <= size, "{free} of {size}");

    // Failures count from the last success on, and take nothing of it away.
    let config = site.root().join("wp-config.php");
    let away = site.root().join("away");
    fs::rename(&config, &away).unwrap();
    it.back_up(&shop);
    it.back_up(&shop);
    let (failed, _) = parse(&it.text());
    assert_eq!(of(&failed, &shop, "failures_in_a_row"), Some(2.0));
    assert_eq!(state(&failed, &shop), ["failed"]);
    assert_eq!(
        of(&failed, &shop, "last_success_timestamp_seconds"),
        Some(seconds(ended))
    );
    fs::rename(&away, &config).unwrap();
    it.back_up(&shop);
    let text = it.text();
    let (mended, _) = parse(&text);
    assert_eq!(of(&mended, &shop, "failures_in_a_row"), Some(0.0));
    assert_eq!(of(&mended, &shop, "snapshots"), Some(3.0));
    // No more series than before the jobs, but for the five that a first run and snapshot bring.
    assert_eq!(mended.len(), first.len() + 5);
    it.runtime.block_on(it.node.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn places_that_are_held_and_waited_for_are_counted() {
    let (node, _) = enrolled().await;
    let agent = node.running.agent();
    let uploads = || {
        let resources = agent.parts.resources.clone();
        async move {
            let holder = Holder {
                job_id: JobId::new(),
                source_name: "shop".into(),
            };
            resources.network(holder).await
        }
    };
    let _places = (uploads().await, uploads().await);
    let _third = tokio::spawn(uploads());
    until("the third waits", || {
        let view = agent.queue.resources().unwrap();
        view.network.waiters.len() == 1
    })
    .await;
    let (series, _) = parse(&metrics::text(agent).unwrap());
    let network = |name| with(&series, name, &[("resource", "network")]);
    assert_eq!(network("backupd_resource_places"), 2.0);
    assert_eq!(network("backupd_resource_held"), 2.0);
    assert_eq!(network("backupd_resource_waiting"), 1.0);
    node.stop().await;
}

#[tokio::test]
async fn without_the_masters_api_key_there_are_none() {
    let (node, master) = enrolled().await;
    let mut dialled = master.dial(&node).await;
    let (status, _, body) = dialled
        .raw(Method::GET, "/metrics", None, None)
        .await
        .unwrap();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!String::from_utf8_lossy(&body).contains("backupd_"));
    node.stop().await;
}

#[test]
fn the_command_prints_them_and_replaces_a_file_that_everybody_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let file = dir.path().join("backupd.prom");
    let uptime = |text: &str| with(&parse(text).0, "backupd_uptime_seconds", &[]);
    let write = || {
        let mut command = backupd(&data);
        command.args(["metrics", "--output"]).arg(&file);
        command.output().unwrap()
    };

    // What was there, whoever holds it open, stays as it was.
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let held = dir.path().join("held");
    fs::hard_link(&file, &held).unwrap();
    let written = write();
    assert!(written.status.success() && written.stdout.is_empty() && written.stderr.is_empty());
    assert_eq!(fs::read_to_string(&held).unwrap(), "old");
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644);
    assert_eq!(uptime(&fs::read_to_string(&file).unwrap()), 0.0);
    let names = fs::read_dir(dir.path()).unwrap();
    assert_eq!(names.count(), 3, "data, held and backupd.prom");

    let _daemon = Daemon::start(&data);
    poll_until(LONG, "a daemon that runs for a second", || {
        let printed = backupd(&data).arg("metrics").output().unwrap();
        let text = String::from_utf8(printed.stdout).unwrap();
        (uptime(&text) >= 1.0).then_some(())
    });
    let nowhere = backupd(&data)
        .args(["metrics", "--output", "/nonexistent/backupd.prom"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&nowhere.stderr);
    assert!(
        !nowhere.status.success() && said.contains("/nonexistent/backupd.prom"),
        "{said}"
    );
}

#[test]
fn dashboard_and_alerts_ask_for_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let told = backupd(dir.path()).arg("metrics").output().unwrap();
    let (_, families) = parse(&String::from_utf8(told.stdout).unwrap());
    let dashboard = include_str!("../../../packaging/grafana/backupd.json");
    serde_json::from_str::<serde_json::Value>(dashboard).unwrap();
    let rules = include_str!("../../../packaging/prometheus/backupd.rules.yml");
    for (what, text) in [("dashboard", dashboard), ("rules", rules)] {
        let asked: BTreeSet<&str> = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("backupd_"))
            .collect();
        assert!(asked.len() >= 5, "{what}: {asked:?}");
        for name in asked {
            assert!(families.contains(name), "the {what} asks for {name}");
        }
    }
}
