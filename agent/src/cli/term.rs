//! What people see: tables, sizes, one line that moves. Only the answer goes to standard output.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};

use backupd_base::Error;
use chrono::{DateTime, Utc};

/// Prints an answer. A reader that closed the pipe has what it wanted.
pub(super) fn print(text: &str) {
    let _ = writeln!(stdout().lock(), "{text}");
}

/// Says on standard error why it failed.
pub(super) fn complain(error: &Error) {
    let _ = writeln!(stderr().lock(), "backupd: {error}");
}

/// Columns as wide as they need to be, two blanks between.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(head.to_vec())];
    lines.extend(
        rows.iter()
            .map(|row| line(row.iter().map(String::as_str).collect())),
    );
    lines.join("\n")
}

/// A size for people: 1.5 GB, in powers of 1000 as stores bill them.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ if value < 9.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// A time for people, to the minute.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// A duration for people.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// One line on a terminal's standard error that is written over and over; nothing elsewhere.
pub(super) struct Line {
    is_shown: bool,
    width: usize,
}

impl Line {
    pub(super) fn new(is_wanted: bool) -> Self {
        Self {
            is_shown: is_wanted && stderr().is_terminal(),
            width: 0,
        }
    }

    pub(super) fn show(&mut self, text: &str) {
        if !self.is_shown {
            return;
        }
        let width = text.chars().count();
        let _ = write!(stderr(), "\r{text:<pad$}", pad = self.width.max(width));
        let _ = stderr().flush();
        self.width = width;
    }

    pub(super) fn clear(&mut self) {
        if self.is_shown && self.width > 0 {
            let _ = write!(stderr(), "\r{:pad$}\r", "", pad = self.width);
            self.width = 0;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_or_three_digits() {
        for (bytes, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (9_960, "10 kB"),
            (999_600, "1.0 MB"),
            (1_234_567_890, "1.2 GB"),
            (u64::MAX, "18447 PB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["ä".into(), "1".into()],
            vec!["long".into(), "2".into()],
        ];
        assert_eq!(table(&["A", "N"], &rows), "A     N\nä     1\nlong  2");
    }
}
