//! At which instant a local time is.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::{GapInfo, Tz};

/// The instant of `local` in `zone`, as the rules of the module above have it; `None` on a date
/// that the zone skipped. For a later local time it is never earlier.
pub fn of(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Some(at.to_utc()),
        MappedLocalTime::None => {
            let after = GapInfo::new(&local, &zone)?.end?;
            let before = after - TimeDelta::seconds(1);
            [after, before]
                .into_iter()
                .find(|at| at.date_naive() == local.date())
                .map(|at| at.to_utc())
        }
    }
}
