//! The Prometheus text format, version 0.0.4, as Prometheus and node_exporter's textfile collector
//! read it. Counters and gauges are all there is here.

use std::fmt::Write as _;

/// Characters of a label's value; what people typed longer is cut.
const LONGEST: usize = 128;

/// Families written so far.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family of values that go up and down.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Begins a family of counts that only grow; by custom its name ends in `_total`.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let text = &mut self.0;
        text.push_str("# HELP ");
        text.push_str(name);
        text.push(' ');
        escape(text, help.chars(), false);
        writeln!(text, "\n# TYPE {name} {kind}").expect("text grows");
        Family { text, name }
    }

    /// What was written.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A family that takes its samples.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    /// Adds one. No two of a family have the same labels.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let text = &mut *self.text;
        text.push_str(self.name);
        for (position, (label, value)) in labels.iter().enumerate() {
            text.push(if position == 0 { '{' } else { ',' });
            text.push_str(label);
            text.push_str("=\"");
            escape(text, value.chars().take(LONGEST), true);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        writeln!(text, " {value}").expect("text grows");
    }
}

/// A line break or a quote in a name begins no sample of its own.
fn escape(text: &mut String, value: impl Iterator<Item = char>, in_quotes: bool) {
    for c in value {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if in_quotes => text.push_str("\\\""),
            _ => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_head_and_its_samples() {
        let mut text = Text::default();
        text.counter("events_total", "What \\ happened,\n\"so far\".")
            .sample(&[], 12.0);
        let mut family = text.gauge("size_bytes", "How big.");
        family.sample(&[("id", "a"), ("name", "b")], 20_971_520.0);
        family.sample(&[("id", "c"), ("name", "d")], 0.25);
        assert_eq!(
            text.finish(),
            "# HELP events_total What \\\\ happened,\\n\"so far\".\n\
             # TYPE events_total counter\n\
             events_total 12\n\
             # HELP size_bytes How big.\n\
             # TYPE size_bytes gauge\n\
             size_bytes{id=\"a\",name=\"b\"} 20971520\n\
             size_bytes{id=\"c\",name=\"d\"} 0.25\n"
        );
    }

    #[test]
    fn a_name_cannot_break_out_of_its_label() {
        let mut text = Text::default();
        let name = "a\"} 1\nforged{x=\"\\";
        text.gauge("up", "Up.").sample(&[("name", name)], 1.0);
        let written = text.finish();
        assert_eq!(written.lines().count(), 3, "{written}");
        assert_eq!(
            written.lines().last(),
            Some(r#"up{name="a\"} 1\nforged{x=\"\\"} 1"#)
        );
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let mut text = Text::default();
        let name = "ü".repeat(LONGEST + 1);
        text.gauge("up", "Up.").sample(&[("name", &name)], 1.0);
        let cut = "ü".repeat(LONGEST);
        assert!(
            text.finish()
                .ends_with(&format!("up{{name=\"{cut}\"}} 1\n"))
        );
    }
}
