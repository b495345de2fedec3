//! What is kept of the past.

use std::collections::VecDeque;

use backupd_protocol::{Sample, StatsRange};

/// An hour of seconds.
const SECONDS: usize = 3600;

/// A day of minutes.
const MINUTES: usize = 1440;

const MINUTE_MS: u64 = 60_000;

/// Seconds and minutes, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    seconds: VecDeque<Sample>,
    minutes: VecDeque<Sample>,
    /// Seconds of the minute that is not over.
    minute: Vec<Sample>,
}

impl History {
    pub(super) fn push(&mut self, sample: Sample) {
        if let Some(first) = self.minute.first()
            && first.at_ms / MINUTE_MS != sample.at_ms / MINUTE_MS
        {
            let minute = mean(&self.minute);
            self.minute.clear();
            keep(&mut self.minutes, minute, MINUTES);
        }
        self.minute.push(sample.clone());
        keep(&mut self.seconds, sample, SECONDS);
    }

    pub(super) fn samples(&self, range: StatsRange) -> Vec<Sample> {
        let ring = match range {
            StatsRange::Hour => &self.seconds,
            StatsRange::Day => &self.minutes,
        };
        ring.iter().cloned().collect()
    }
}

fn keep(ring: &mut VecDeque<Sample>, sample: Sample, most: usize) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(sample);
}

/// The mean of what goes up and down, the last of what is a state.
fn mean(samples: &[Sample]) -> Sample {
    let last = samples.last().expect("a minute begins with a sample");
    let n = samples.len() as f64;
    let whole = |of: fn(&Sample) -> u64| {
        (samples.iter().map(|s| of(s) as f64).sum::<f64>() / n).round() as u64
    };
    let percent = |of: &dyn Fn(&Sample) -> f32| {
        (samples.iter().map(|s| f64::from(of(s))).sum::<f64>() / n) as f32
    };
    let core = |index: usize| percent(&|s: &Sample| s.cores.get(index).copied().unwrap_or(0.0));
    Sample {
        at_ms: last.at_ms / MINUTE_MS * MINUTE_MS,
        cpu_percent: percent(&|s: &Sample| s.cpu_percent),
        cores: (0..last.cores.len()).map(core).collect(),
        memory_used: whole(|s| s.memory_used),
        swap_used: whole(|s| s.swap_used),
        disk_read: whole(|s| s.disk_read),
        disk_write: whole(|s| s.disk_write),
        net_rx: whole(|s| s.net_rx),
        net_tx: whole(|s| s.net_tx),
        ..last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64, cpu: f32, rx: u64) -> Sample {
        Sample {
            at_ms: second * 1000,
            cpu_percent: cpu,
            cores: vec![cpu, 0.0],
            memory_used: 10,
            memory_total: 100,
            swap_used: 0,
            swap_total: 0,
            load: [1.0, 2.0, 3.0],
            disks: Vec::new(),
            disk_read: 0,
            disk_write: 0,
            net_rx: rx,
            net_tx: 0,
            jobs_running: 0,
        }
    }

    #[test]
    fn a_minute_is_the_mean_of_its_seconds_and_comes_when_it_is_over() {
        let mut history = History::default();
        history.push(at(60, 10.0, 100));
        history.push(at(61, 30.0, 300));
        assert!(history.samples(StatsRange::Day).is_empty());
        history.push(at(120, 99.0, 0));
        let minutes = history.samples(StatsRange::Day);
        assert_eq!(minutes.len(), 1);
        assert_eq!(minutes[0].at_ms, 60_000);
        assert_eq!(minutes[0].cpu_percent, 20.0);
        assert_eq!(minutes[0].cores, [20.0, 0.0]);
        assert_eq!(minutes[0].net_rx, 200);
        assert_eq!(history.samples(StatsRange::Hour).len(), 3);
    }

    #[test]
    fn an_hour_and_a_day_are_kept_and_no_more() {
        let mut history = History::default();
        for second in 0..100_000 {
            history.push(at(second, 0.0, second));
        }
        let seconds = history.samples(StatsRange::Hour);
        assert_eq!(seconds.len(), 3600);
        assert_eq!(seconds[3599].net_rx, 99_999);
        assert_eq!(seconds[0].net_rx, 96_400);
        assert_eq!(history.samples(StatsRange::Day).len(), 1440);
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let mut history = History::default();
        history.push(at(0, 0.0, 0));
        history.push(at(600, 0.0, 0));
        history.push(at(660, 0.0, 0));
        let minutes: Vec<_> = history
            .samples(StatsRange::Day)
            .iter()
            .map(|s| s.at_ms)
            .collect();
        assert_eq!(minutes, [0, 600_000]);
    }
}
