//! Takes the `DEFINER` out of views, triggers, routines and events of a dump. Only a server's
//! administrator may make them in another user's name; a site's own user becomes their definer.

/// How the lines begin in which the vendor's tools name a definer. No row of data begins like
/// this: the tools write line ends inside of values as `\n`.
const LINES: &[&[u8]] = &[
    b"CREATE DEFINER=",
    b"/*!50003 CREATE*/ /*!50017 DEFINER=",
    b"/*!50003 CREATE*/ /*!50020 DEFINER=",
    b"/*!50106 CREATE*/ /*!50117 DEFINER=",
    b"/*!50013 DEFINER=",
];
const DEFINER: &[u8] = b"DEFINER=";
/// A line's head is held back until it is this long: the longest beginning, two names of 255
/// characters of up to four bytes, and their quotes.
const HEAD: usize = 2560;

/// A filter that a dump goes through in pieces.
#[derive(Debug, Default)]
pub(super) struct Definers {
    head: Vec<u8>,
    in_line: bool,
}

impl Definers {
    /// Takes a piece; what can go on goes to `out`.
    pub fn pass(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        while !piece.is_empty() {
            let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
            let (line, rest) = piece.split_at(end);
            let ends = line.ends_with(b"\n");
            if self.in_line {
                out.extend_from_slice(line);
            } else {
                self.head.extend_from_slice(line);
                if ends || self.head.len() >= HEAD || !self.may_matter() {
                    self.finish(out);
                    self.in_line = true;
                }
            }
            if ends {
                self.in_line = false;
            }
            piece = rest;
        }
    }

    /// Lets go of what is held back.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let head = std::mem::take(&mut self.head);
        match definer(&head) {
            Some((start, end)) => {
                out.extend_from_slice(&head[..start]);
                out.extend_from_slice(&head[end..]);
            }
            None => out.extend_from_slice(&head),
        }
    }

    fn may_matter(&self) -> bool {
        let head = &self.head;
        LINES
            .iter()
            .any(|line| line.starts_with(head) || head.starts_with(line))
    }
}

/// Where "DEFINER=`user`@`host`" stands in the head of a line.
fn definer(head: &[u8]) -> Option<(usize, usize)> {
    let line = LINES.iter().find(|line| head.starts_with(line))?;
    let start = line.len() - DEFINER.len();
    let rest = &head[line.len()..];
    let user = quoted(rest)?;
    let host = quoted(rest[user..].strip_prefix(b"@")?)?;
    Some((start, line.len() + user + 1 + host))
}

/// The length of a name in backticks at the beginning.
fn quoted(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    text.first().filter(|b| **b == b'`')?;
    loop {
        at += memchr::memchr(b'`', &text[at..])? + 1;
        if text.get(at) != Some(&b'`') {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(text: &str, step: usize) -> String {
        let (mut filter, mut out) = (Definers::default(), Vec::new());
        for piece in text.as_bytes().chunks(step) {
            filter.pass(piece, &mut out);
        }
        filter.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn definers_go_and_everything_else_stays_however_it_is_cut() {
        let long = "x".repeat(9000);
        let dump = format!(
            "-- dump\nINSERT INTO `t` VALUES (1,'{long} CREATE DEFINER=`a`@`b`');\n\
             CREATE DEFINER=`ro``ot`@`10.%` FUNCTION `f`() RETURNS int(11)\n\
             /*!50003 CREATE*/ /*!50017 DEFINER=`a'b`@`%`*/ /*!50003 trigger tr\n\
             /*!50013 DEFINER=`r`@`h` SQL SECURITY DEFINER */\n\
             /*!50106 CREATE*/ /*!50117 DEFINER=`r`@`h`*/ /*!50106 EVENT `e`\n\
             CREATE DEFINER=CURRENT_USER FUNCTION f()\nCREATE DEFINER=`cut"
        );
        let want = dump
            .replace("DEFINER=`ro``ot`@`10.%`", "")
            .replace("DEFINER=`a'b`@`%`", "")
            .replace("DEFINER=`r`@`h`", "");
        for step in [1, 3, 64, 2559, 2560, 100_000] {
            assert_eq!(pass(&dump, step), want, "{step}");
        }
    }
}
