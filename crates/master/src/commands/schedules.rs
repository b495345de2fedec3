//! When sources are backed up by themselves: kept here, carried out by their nodes.

use backupd_base::{Code, Context as _, Error, Result, SourceId};
use backupd_policy::schedule::{Plan, Rule, Schedule};
use backupd_protocol::Health;
use backupd_registry::SourceRow;
use chrono::Utc;

use super::{parsed, sources::as_told};
use crate::{
    Master,
    link::Link,
    view::{MasterEvent, SchedulePreview},
};

/// When most sites sleep.
const NIGHT: &str = "03:00";
/// Servers that share a store or a host do not begin at once.
const SPREAD_SECONDS: u32 = 30 * 60;

impl Master {
    /// Sets when a source is backed up by itself, or that it is not. A node that is away is told
    /// when it is back.
    ///
    /// # Errors
    /// `Invalid` for a schedule that makes no sense, `NotFound` for a source there is not.
    pub async fn source_schedule(
        &self,
        source_id: &SourceId,
        schedule: Option<Schedule>,
    ) -> Result<()> {
        if let Some(schedule) = &schedule {
            Plan::new(schedule, source_id.as_str())?;
        }
        let text = schedule.as_ref().map(to_json).transpose()?;
        let id = source_id.clone();
        let row = self
            .db(move |r| {
                let row = r.source_get(&id)?;
                if row.removed_at.is_some() {
                    let why = format!("{} is not protected any more", row.name);
                    return Err(Error::new(Code::NotFound, why));
                }
                r.source_set_schedule(&id, text.as_deref())?;
                r.source_get(&id)
            })
            .await?;
        self.tell(MasterEvent::SourcesChanged);
        let told = as_told(&row)?;
        match self.linked(&row.node_id) {
            // One that does not answer is told on contact, as one that is away.
            Err(_) => Ok(()),
            Ok(link) => match link.put(&format!("sources/{source_id}"), &told).await {
                Err(e) if matches!(e.code(), Code::Unavailable | Code::Timeout) => Ok(()),
                result => result,
            },
        }
    }

    /// The next three runs of a schedule, without its spread.
    ///
    /// # Errors
    /// `Invalid` for one that makes no sense.
    pub fn schedule_preview(&self, schedule: Schedule) -> Result<SchedulePreview> {
        Plan::new(&schedule, "")?;
        let exact = Schedule {
            jitter_seconds: 0,
            ..schedule
        };
        let next = Plan::new(&exact, "")?.next_three(Utc::now());
        Ok(SchedulePreview { next })
    }
}

/// What a new source of the node gets: every night, by the clock of its people.
pub(super) async fn nightly(link: &Link) -> Result<Schedule> {
    let health: Health = link.get("health", &[]).await?;
    let own = iana_time_zone::get_timezone().ok();
    Ok(nightly_in([health.time_zone, own]))
}

/// In the first of the zones that is known, else in UTC.
fn nightly_in(zones: [Option<String>; 2]) -> Schedule {
    let schedule = |zone: &str| Schedule {
        rule: Rule::Daily { at: NIGHT.into() },
        time_zone: zone.into(),
        jitter_seconds: SPREAD_SECONDS,
    };
    let mut asked = zones.iter().flatten().map(|zone| schedule(zone));
    asked
        .find(|schedule| Plan::new(schedule, "").is_ok())
        .unwrap_or_else(|| schedule("UTC"))
}

/// The schedule of a source.
pub(crate) fn schedule_of(row: &SourceRow) -> Result<Option<Schedule>> {
    let text = row.schedule.as_deref();
    text.map(|text| parsed("schedule", text)).transpose()
}

/// As the registry keeps it.
pub(super) fn to_json(schedule: &Schedule) -> Result<String> {
    serde_json::to_string(schedule).context("write the schedule")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_source_is_backed_up_at_night_where_its_node_is() {
        let zone = |node: Option<&str>, own: Option<&str>| {
            nightly_in([node, own].map(|zone| zone.map(Into::into))).time_zone
        };
        assert_eq!(
            zone(Some("Asia/Tokyo"), Some("Europe/Berlin")),
            "Asia/Tokyo"
        );
        assert_eq!(zone(None, Some("Europe/Berlin")), "Europe/Berlin");
        assert_eq!(
            zone(Some("Nowhere"), Some("Europe/Berlin")),
            "Europe/Berlin"
        );
        assert_eq!(zone(None, None), "UTC");
    }
}
