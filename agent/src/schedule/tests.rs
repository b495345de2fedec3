//! Nights, weeks and years by a clock of our own.

use std::collections::BTreeMap;

use backupd_policy::schedule::{Rule, Schedule};
use backupd_protocol::{Event, Job, JobOrigin, JobState, ScheduledRun};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::{
    agent::Agent,
    config::{Config, SourceEntry, THIS_SERVER},
    store::{jobs, sources},
};

const KEYS: [&str; 2] = [
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg",
];

struct FakeClock(Mutex<DateTime<Utc>>);

impl Clock for FakeClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// An agent whose jobs do not run by themselves.
struct World {
    dir: tempfile::TempDir,
    config: Config,
    clock: Arc<FakeClock>,
    agent: Option<(Agent, Scheduler)>,
}

impl World {
    /// With one source, `shop`, on a Monday noon.
    fn new(schedule: Option<Schedule>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("shop");
        std::fs::create_dir(&site).unwrap();
        let config = Config {
            data_dir: dir.path().join("data"),
            recipients: KEYS.map(Into::into).to_vec(),
            sources: vec![SourceEntry {
                name: "shop".into(),
                module: "wordpress".into(),
                path: site,
                settings: toml::Table::new(),
                providers: vec![THIS_SERVER.into()],
                retention: None,
                schedule,
            }],
            ..Config::default()
        };
        let mut world = Self {
            dir,
            config,
            clock: Arc::new(FakeClock(Mutex::new(utc("2027-05-03T12:00:00Z")))),
            agent: None,
        };
        world.start();
        world.look();
        world
    }

    /// The process ends, as by SIGKILL, and another one begins.
    fn start(&mut self) {
        self.agent = None;
        let agent = Agent::open(&self.config).unwrap();
        let (parts, inventory) = (agent.parts.clone(), agent.inventory.clone());
        let scheduler = Scheduler::new(parts, inventory, agent.queue.clone(), self.clock.clone());
        self.agent = Some((agent, scheduler));
    }

    fn agent(&self) -> &Agent {
        &self.agent.as_ref().unwrap().0
    }

    fn look(&self) -> Option<DateTime<Utc>> {
        self.agent.as_ref().unwrap().1.look()
    }

    fn at(&self, text: &str) {
        *self.clock.0.lock().unwrap() = utc(text);
    }

    fn look_at(&self, text: &str) {
        self.at(text);
        self.look();
    }

    fn pass(&self, time: TimeDelta) {
        *self.clock.0.lock().unwrap() += time;
    }

    fn jobs(&self) -> Vec<Job> {
        self.agent().queue.list(None, 10_000).unwrap()
    }

    fn end_jobs(&self) {
        for mut job in self.jobs() {
            if job.state == JobState::Pending {
                job.state = JobState::Completed;
                self.agent()
                    .store
                    .write(|tx| jobs::update(tx, &job))
                    .unwrap();
            }
        }
    }

    fn source(&self) -> Source {
        self.agent().inventory.sources().unwrap().remove(0)
    }

    fn runs(&self) -> Vec<ScheduledRun> {
        let id = self.source().id;
        self.agent()
            .store
            .read(|db| schedules::runs(db, &id, 1000))
            .unwrap()
    }

    fn events(&self) -> Vec<Event> {
        let mut events = self.agent().journal.after(0, u32::MAX).unwrap();
        events.retain(|event| event.kind.starts_with("schedule."));
        events
    }

    fn kinds(&self) -> Vec<String> {
        self.events().into_iter().map(|event| event.kind).collect()
    }
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn nightly() -> Option<Schedule> {
    Some(Schedule {
        rule: Rule::Daily { at: "03:00".into() },
        time_zone: "UTC".into(),
        jitter_seconds: 0,
    })
}

fn hourly() -> Option<Schedule> {
    let rule = Rule::Cron {
        expression: "@hourly".into(),
    };
    Some(Schedule {
        rule,
        ..nightly().unwrap()
    })
}

#[test]
fn a_run_is_one_job_at_its_time() {
    let world = World::new(nightly());
    assert_eq!(world.look(), Some(utc("2027-05-04T03:00:00Z")));
    world.look_at("2027-05-04T02:59:59Z");
    assert_eq!(world.jobs(), []);
    world.look_at("2027-05-04T03:00:00Z");
    world.look_at("2027-05-04T03:00:29Z");
    let [job] = &world.jobs()[..] else { panic!() };
    assert_eq!(
        (job.origin, job.state),
        (JobOrigin::Schedule, JobState::Pending)
    );
    let [event] = &world.events()[..] else {
        panic!()
    };
    assert_eq!(event.kind, "schedule.due");
    assert_eq!(
        event.message,
        "shop is due: its backup was put into the queue."
    );
    assert_eq!(event.data["due"], "2027-05-04T03:00:00Z");
    assert_eq!(event.job_id, Some(job.id.clone()));
    let [run] = &world.runs()[..] else { panic!() };
    assert_eq!((run.outcome, &run.reason), (RunOutcome::Submitted, &None));
    assert_eq!(run.job_id, Some(job.id.clone()));
}

#[test]
fn a_run_is_skipped_while_a_job_is_pending_or_running() {
    let world = World::new(hourly());
    world.look_at("2027-05-03T13:00:00Z");
    world.look_at("2027-05-03T14:00:00Z");
    let mut job = world.jobs().remove(0);
    job.state = JobState::Running;
    world
        .agent()
        .store
        .write(|tx| jobs::update(tx, &job))
        .unwrap();
    world.look_at("2027-05-03T15:00:00Z");
    assert_eq!(world.jobs().len(), 1);
    assert_eq!(
        world.kinds(),
        ["schedule.due", "schedule.skipped", "schedule.skipped"]
    );
    let skipped = &world.events()[1];
    assert_eq!(
        skipped.message,
        format!(
            "The backup of shop that was due at 2027-05-03 14:00 UTC was skipped: shop already has \
             job {} pending or running.",
            job.id
        )
    );
    assert_eq!(world.runs()[0].outcome, RunOutcome::Skipped);
    world.end_jobs();
    job.state = JobState::Completed;
    world
        .agent()
        .store
        .write(|tx| jobs::update(tx, &job))
        .unwrap();
    world.look_at("2027-05-03T16:00:00Z");
    assert_eq!(world.jobs().len(), 2);
}

#[test]
fn a_retry_that_waits_gives_way_to_the_next_run() {
    let world = World::new(hourly());
    world.look_at("2027-05-03T13:00:00Z");
    let mut retry = world.jobs().remove(0);
    retry.not_before = Some(utc("2027-05-03T14:30:00Z"));
    world
        .agent()
        .store
        .write(|tx| jobs::update(tx, &retry))
        .unwrap();
    world.look_at("2027-05-03T14:00:00Z");
    let states: Vec<_> = world.jobs().iter().map(|job| job.state).collect();
    assert_eq!(states, [JobState::Pending, JobState::Cancelled]);
    assert_eq!(world.runs()[0].outcome, RunOutcome::Submitted);
}

#[test]
fn what_was_missed_while_it_was_off_is_made_up_once() {
    let mut world = World::new(nightly());
    world.at("2027-05-06T09:30:00Z");
    world.start();
    world.look();
    world.look();
    assert_eq!(world.jobs().len(), 1);
    let messages: Vec<_> = world
        .events()
        .into_iter()
        .map(|event| event.message)
        .collect();
    let missed = |date| {
        format!(
            "The backup of shop that was due at 2027-05-{date} 03:00 UTC was skipped: missed while \
             the agent was off, made up at 2027-05-06 09:30 UTC."
        )
    };
    assert_eq!(
        messages,
        [
            missed("04"),
            missed("05"),
            "shop was due at 2027-05-06 03:00 UTC: missed while the agent was off, made up at \
             2027-05-06 09:30 UTC."
                .into(),
        ]
    );
    let outcomes: Vec<_> = world.runs().iter().map(|run| run.outcome).collect();
    use RunOutcome::{Skipped, Submitted};
    assert_eq!(outcomes, [Submitted, Skipped, Skipped]);
}

#[test]
fn a_clock_put_forward_is_like_being_off() {
    let world = World::new(hourly());
    world.look_at("2027-05-03T15:30:00Z");
    assert_eq!(world.jobs().len(), 1);
    assert_eq!(
        world.kinds(),
        ["schedule.skipped", "schedule.skipped", "schedule.due"]
    );
    let why = &world.events()[0].data["reason"];
    assert!(
        why.starts_with("missed while the server slept or its clock was put forward"),
        "{why}"
    );
}

#[test]
fn a_clock_put_back_runs_nothing_twice() {
    let mut world = World::new(hourly());
    world.look_at("2027-05-03T13:00:00Z");
    world.end_jobs();
    world.look_at("2027-05-03T14:00:00Z");
    world.end_jobs();
    for restarted in [false, true] {
        if restarted {
            world.start();
        }
        for minute in 0..115 {
            world.at("2027-05-03T12:10:00Z");
            world.pass(TimeDelta::minutes(minute));
            world.look();
        }
        assert_eq!(world.jobs().len(), 2);
    }
    assert!(world.kinds().contains(&"schedule.clock_set_back".into()));
    world.look_at("2027-05-03T15:00:00Z");
    assert_eq!(world.jobs().len(), 3);
}

#[test]
fn a_clock_that_was_wrong_by_years_does_not_silence_it() {
    let world = World::new(nightly());
    world.look_at("2037-05-03T12:00:00Z");
    world.end_jobs();
    assert_eq!(world.jobs().len(), 1);
    let told: u64 = world
        .events()
        .iter()
        .map(|e| e.data.get("count").map_or(1, |n| n.parse().unwrap()))
        .sum();
    assert_eq!(told, 3653);
    assert!(world.events().len() < 110);
    for date in 4..14 {
        world.look_at(&format!("2027-05-{date:02}T03:00:10Z"));
        world.look_at(&format!("2027-05-{date:02}T03:00:40Z"));
        world.end_jobs();
    }
    assert_eq!(world.jobs().len(), 11);
}

#[test]
fn to_edit_is_not_to_run() {
    let mut world = World::new(nightly());
    world.look_at("2027-05-04T12:00:00Z");
    world.end_jobs();
    // Earlier today: it would have been due.
    world.config.sources[0].schedule.as_mut().unwrap().rule = Rule::Daily { at: "11:00".into() };
    world.start();
    world.look();
    world.look_at("2027-05-05T10:59:00Z");
    assert_eq!(world.jobs().len(), 1);
    world.look_at("2027-05-05T11:00:00Z");
    assert_eq!(world.jobs().len(), 2);
    world.end_jobs();
    // Off for a week, and on again.
    world.config.sources[0].schedule = None;
    world.start();
    assert_eq!(world.look(), None);
    world.at("2027-05-12T12:00:00Z");
    world.config.sources[0].schedule = nightly();
    world.start();
    assert_eq!(world.look(), Some(utc("2027-05-13T03:00:00Z")));
    assert_eq!(world.jobs().len(), 2);
}

#[test]
fn what_was_due_before_an_edit_is_not_lost() {
    let mut world = World::new(nightly());
    world.at("2027-05-04T04:00:00Z");
    world.config.sources[0].schedule.as_mut().unwrap().rule = Rule::Daily { at: "05:00".into() };
    world.start();
    world.look();
    assert_eq!(world.jobs().len(), 1);
    assert_eq!(world.runs()[0].due, utc("2027-05-04T03:00:00Z"));
}

#[test]
fn a_source_that_cannot_be_backed_up_is_a_failure_each_time() {
    let world = World::new(nightly());
    let kept = sources::Kept {
        origin: crate::store::providers::Origin::Config,
        source: Source {
            providers: Vec::new(),
            ..world.source()
        },
    };
    world
        .agent()
        .store
        .write(|tx| sources::put(tx, &kept))
        .unwrap();
    world.look_at("2027-05-04T03:00:00Z");
    world.look_at("2027-05-05T03:00:00Z");
    assert_eq!(world.jobs(), []);
    assert_eq!(world.kinds(), ["schedule.failed", "schedule.failed"]);
    let event = &world.events()[0];
    assert_eq!(event.severity, backupd_protocol::Severity::Error);
    assert!(
        event.message.contains("shop has no provider"),
        "{}",
        event.message
    );
    assert_eq!(world.runs()[0].outcome, RunOutcome::Failed);
}

/// The job and how far the schedule was seen to are written together or not at all.
#[test]
fn a_run_that_cannot_be_written_down_whole_is_tried_again() {
    let world = World::new(nightly());
    let run = |sql: &str| {
        let sql = sql.to_owned();
        world.agent().store.write(move |tx| {
            tx.execute_batch(&sql)
                .map_err(|e| Error::caused("prepare the test", e))
        })
    };
    run("CREATE TRIGGER full BEFORE UPDATE ON schedules BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    world.look_at("2027-05-04T03:00:00Z");
    assert_eq!(
        (world.jobs(), world.runs(), world.kinds()),
        (vec![], vec![], vec![])
    );
    run("DROP TRIGGER full").unwrap();
    world.look_at("2027-05-04T03:00:30Z");
    assert_eq!((world.jobs().len(), world.runs().len()), (1, 1));
}

#[test]
fn a_removed_source_leaves_nothing() {
    let mut world = World::new(nightly());
    world.look_at("2027-05-04T03:00:00Z");
    let id = world.source().id;
    world.config.sources.clear();
    world.start();
    let store = &world.agent().store;
    assert_eq!(store.read(|db| schedules::get(db, &id)).unwrap(), None);
    assert_eq!(store.read(|db| schedules::runs(db, &id, 9)).unwrap(), []);
}

#[test]
fn it_tells_what_was_and_what_comes() {
    let world = World::new(nightly());
    world.look_at("2027-05-04T03:00:00Z");
    let list = world.agent.as_ref().unwrap().1.list().unwrap();
    assert_eq!(list[0].source_name, "shop");
    let next: Vec<_> = list[0].next.iter().map(|at| at.to_rfc3339()).collect();
    assert_eq!(next[0], "2027-05-05T03:00:00+00:00");
    assert_eq!((next.len(), list[0].last.len()), (3, 1));
}

#[tokio::test]
async fn it_waits_and_looks_by_itself() {
    let world = World::new(nightly());
    let (agent, scheduler) = world.agent.as_ref().unwrap();
    let shutdown = CancellationToken::new();
    world.at("2027-05-04T03:00:00Z");
    let running = tokio::spawn({
        let (scheduler, shutdown) = (scheduler.clone(), shutdown.clone());
        async move { scheduler.run(shutdown).await }
    });
    // Nothing before the queue has settled what a former process left behind.
    tokio::task::yield_now().await;
    assert_eq!(world.jobs(), []);
    let stop_queue = CancellationToken::new();
    stop_queue.cancel();
    let mut heard = agent.live.listen();
    agent.queue.run(stop_queue).await.unwrap();
    heard.recv().await.unwrap();
    assert_eq!(world.jobs().len(), 1);
    world.end_jobs();
    world.at("2027-05-05T03:00:00Z");
    scheduler.wake();
    heard.recv().await.unwrap();
    while world.jobs().len() < 2 {
        heard.recv().await.unwrap();
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

/// Weeks of kills, sleep, long jobs and a clock that is put forward and back: every run
/// is accounted for, none is submitted twice, and each job is of one run.
#[test]
fn whatever_happens_every_run_is_accounted_for_and_none_runs_twice() {
    for seed in 0..4 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut schedule = if seed % 2 == 0 { nightly() } else { hourly() };
        schedule.as_mut().unwrap().jitter_seconds = 1800;
        let mut world = World::new(schedule.clone());
        let begin = world.clock.now();
        let mut furthest = begin;
        for _ in 0..150 {
            let minutes = match random.gen_range(0..100) {
                0..3 => -random.gen_range(1..600),
                3..10 => random.gen_range(600..3000),
                _ => random.gen_range(1..90),
            };
            // Not behind the day it was configured.
            let back = begin - world.clock.now();
            world.pass(TimeDelta::minutes(minutes).max(back));
            if random.gen_bool(0.1) {
                world.start();
            }
            world.look();
            furthest = furthest.max(world.clock.now());
            if random.gen_bool(0.8) {
                world.end_jobs();
            }
        }
        let plan = Plan::new(&schedule.unwrap(), world.source().id.as_str()).unwrap();
        let due: Vec<_> = plan.runs_between(begin, furthest).collect();
        let mut told: BTreeMap<DateTime<Utc>, Vec<String>> = BTreeMap::new();
        for event in world.events() {
            if let Some(due) = event.data.get("due") {
                assert!(!event.data.contains_key("count"), "seed {seed}");
                told.entry(utc(due)).or_default().push(event.kind);
            }
        }
        let wrong = told.keys().zip(&due).find(|(told, due)| told != due);
        assert!(
            wrong.is_none() && told.len() == due.len(),
            "seed {seed}: {wrong:?}"
        );
        let submitted = |kinds: &&Vec<String>| kinds.iter().any(|kind| kind == "schedule.due");
        for kinds in told.values() {
            let times = kinds.iter().filter(|kind| *kind == "schedule.due").count();
            assert!(times <= 1, "seed {seed}: {kinds:?}");
        }
        let jobs = world.jobs().len();
        assert_eq!(told.values().filter(submitted).count(), jobs, "seed {seed}");
        assert!(jobs > 10, "seed {seed}: {jobs} jobs");
        drop(world.dir);
    }
}
