//! The rule people set.

use backupd_base::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// How many snapshots stay. A snapshot stays when any of the counts asks for it; what is left out
/// asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Retention {
    /// The newest so many.
    #[serde(default)]
    pub keep_last: u32,
    /// The newest of each of the last so many days that have one.
    #[serde(default)]
    pub daily: u32,
    /// The newest of each of the last so many ISO weeks that have one.
    #[serde(default)]
    pub weekly: u32,
    /// The newest of each of the last so many months that have one.
    #[serde(default)]
    pub monthly: u32,
    /// The newest of each of the last so many years that have one.
    #[serde(default)]
    pub yearly: u32,
    /// All from the so many days (of 24 hours) before the newest one: counted from it and not from
    /// today, a source that is no longer backed up is not emptied.
    #[serde(default)]
    pub keep_within_days: Option<u32>,
    /// What all together may take up in one store, in bytes. Beyond it the oldest go, whatever the
    /// counts say.
    #[serde(default)]
    pub quota_bytes: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            // A bad change is often noticed after the next backup or two, also with many a day.
            keep_last: 3,
            // A hacked or broken site is mostly found within two weeks.
            daily: 14,
            // Two months: what is only seen at the month's close or by a rare visitor.
            weekly: 8,
            // A whole year of trade.
            monthly: 12,
            // The year before, for tax offices and disputes.
            yearly: 2,
            keep_within_days: None,
            // What a store may hold is known to its owner only.
            quota_bytes: None,
        }
    }
}

impl Retention {
    /// Checks that the rule keeps something.
    ///
    /// # Errors
    /// `Invalid` when every count is zero, or the quota is.
    pub fn check(&self) -> Result<()> {
        let counts = [
            self.keep_last,
            self.daily,
            self.weekly,
            self.monthly,
            self.yearly,
            self.keep_within_days.unwrap_or(0),
        ];
        if counts.iter().all(|count| *count == 0) {
            let why = "the retention keeps nothing; allowed is one or more for keep_last, daily, \
                       weekly, monthly, yearly or keep_within_days";
            return Err(Error::new(Code::Invalid, why));
        }
        if self.quota_bytes == Some(0) {
            let why = "quota_bytes of the retention is 0; allowed is one or more, or none at all";
            return Err(Error::new(Code::Invalid, why));
        }
        Ok(())
    }
}
