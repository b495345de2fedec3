//! When sources are backed up: set here, carried out there.

use backupd_base::Code;
use backupd_master::view::{NodeState, Schedule, SourceView};
use backupd_protocol::Source;
use backupd_testkit::{PATIENCE, eventually};
use serde_json::json;

use crate::{
    whole_way::{protect, site},
    world::World,
};

fn schedule(expression: &str) -> Schedule {
    let rule = json!({ "type": "cron", "expression": expression });
    serde_json::from_value(json!({ "rule": rule, "time_zone": "Asia/Tokyo" })).unwrap()
}

fn there(world: &World) -> Source {
    let inventory = &world.server.running().agent().inventory;
    inventory.sources().unwrap().remove(0)
}

async fn here(world: &World) -> SourceView {
    world.master.sources_list().await.unwrap().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_reaches_its_node_also_when_it_was_away() {
    let mut world = World::new().await;
    let (_database, site) = site();
    let stores = [world.own_store().await.id];
    let source = protect(&world, &site, &stores).await;

    // A new one is backed up every night.
    let nightly = source.schedule.clone().unwrap();
    let as_json = serde_json::to_value(&nightly).unwrap();
    assert_eq!(as_json["rule"], json!({ "type": "daily", "at": "03:00" }));
    assert_eq!(as_json["jitter_seconds"], 1800);
    assert!(source.next_run.is_some());
    assert_eq!(there(&world).schedule, Some(nightly));

    let master = world.master.clone();
    let set = async |schedule| master.source_schedule(&source.id, schedule).await;
    let hourly = schedule("0 * * * *");
    set(Some(hourly.clone())).await.unwrap();
    assert_eq!(there(&world).schedule, Some(hourly.clone()));
    assert_eq!(here(&world).await.schedule, Some(hourly.clone()));

    let refused = set(Some(schedule("0 3 30 2 *"))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Invalid);
    assert_eq!(here(&world).await.schedule, Some(hourly));
    let preview = master.schedule_preview(schedule("0 3 * * *")).unwrap();
    let times: Vec<_> = preview
        .next
        .iter()
        .map(|at| at.time().to_string())
        .collect();
    assert_eq!(times, ["18:00:00"; 3]);

    world.server.stop().await;
    world.becomes(NodeState::Offline).await;
    set(None).await.unwrap();
    assert_eq!(here(&world).await.next_run, None);
    world.server.restart().await;
    world.becomes(NodeState::Online).await;
    eventually(PATIENCE, "word of it on the node", async || {
        there(&world).schedule.is_none().then_some(())
    })
    .await;
    world.end().await;
}
