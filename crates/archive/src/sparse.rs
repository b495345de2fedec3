//! Files with holes, as GNU tar keeps them ("PAX format, version 1.0"): the stored content begins
//! with a map of the data, in decimal, padded to a block; the data follows without the holes.

use std::io::Read;
#[cfg(unix)]
use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
};

use backupd_base::Result;
#[cfg(unix)]
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use crate::{
    damage::{corrupt, while_reading},
    tar_header::{BLOCK, padding},
};

/// A file in more pieces than this is kept without its holes.
const MAX_SEGMENTS: usize = 64 * 1024;

/// What a hole reads as.
pub(crate) static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Where a file has data: (start, length), in order.
pub(crate) struct Segments {
    list: Vec<(u64, u64)>,
    map: Vec<u8>,
}

impl Segments {
    /// The segments of a file that has holes; `None` for all others.
    #[cfg(unix)]
    pub fn of(file: &File, metadata: &Metadata) -> Option<Self> {
        let size = metadata.len();
        if metadata.blocks().saturating_mul(512) >= size {
            return None;
        }
        let mut list = Vec::new();
        let mut from = 0;
        while from < size {
            let start = match seek(file, SeekFrom::Data(from)) {
                Ok(start) => start.min(size),
                // Nothing but a hole from here on.
                Err(Errno::NXIO) => break,
                Err(_) => return rewind(file),
            };
            let Ok(end) = seek(file, SeekFrom::Hole(start)) else {
                return rewind(file);
            };
            let end = end.min(size);
            if end > start {
                list.push((start, end - start));
            }
            if list.len() > MAX_SEGMENTS {
                return rewind(file);
            }
            from = end.max(from + 1);
        }
        if list == [(0, size)] {
            return rewind(file);
        }
        // The length of the file is where its last segment ends.
        if list.last().is_none_or(|(start, len)| start + len < size) {
            list.push((size, 0));
        }
        Some(Self::new(list))
    }

    fn new(list: Vec<(u64, u64)>) -> Self {
        let mut map = format!("{}\n", list.len());
        for (start, len) in &list {
            map.push_str(&format!("{start}\n{len}\n"));
        }
        let mut map = map.into_bytes();
        map.resize(map.len() + padding(map.len() as u64), 0);
        Self { list, map }
    }

    /// The map as it stands before the data.
    #[cfg(unix)]
    pub fn map(&self) -> &[u8] {
        &self.map
    }

    /// Size of map and data.
    pub fn stored(&self) -> u64 {
        self.map.len() as u64 + self.list.iter().map(|(_, len)| len).sum::<u64>()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.list.iter().copied()
    }

    /// Reads the map of a file of `size` bytes of which `stored` are in the tar.
    pub fn read(tar: &mut dyn Read, size: u64, stored: u64) -> Result<Self> {
        let mut map = Vec::new();
        let mut numbers = Vec::new();
        let mut wanted = 1;
        let mut number: Option<u64> = None;
        while numbers.len() < wanted {
            if map.len() as u64 + BLOCK as u64 > stored {
                return Err(corrupt("the map of a sparse file is cut"));
            }
            let from = map.len();
            map.resize(from + BLOCK, 0);
            tar.read_exact(&mut map[from..])
                .map_err(|e| while_reading("read the map of a sparse file", e))?;
            for byte in &map[from..] {
                match byte {
                    b'0'..=b'9' => {
                        let digit = u64::from(byte - b'0');
                        let next = number.unwrap_or(0).checked_mul(10);
                        number = next.and_then(|n| n.checked_add(digit));
                        if number.is_none() {
                            return Err(corrupt("the map of a sparse file is malformed"));
                        }
                    }
                    b'\n' => {
                        numbers.extend(number.take());
                        if numbers.len() == 1 {
                            wanted = usize::try_from(numbers[0])
                                .ok()
                                .filter(|n| *n <= MAX_SEGMENTS + 1)
                                .map(|n| 1 + 2 * n)
                                .ok_or_else(|| corrupt("a sparse file has too many segments"))?;
                        }
                        if numbers.len() == wanted {
                            break;
                        }
                    }
                    _ => return Err(corrupt("the map of a sparse file is malformed")),
                }
            }
        }
        let list: Vec<_> = numbers[1..]
            .chunks_exact(2)
            .map(|pair| (pair[0], pair[1]))
            .collect();
        let mut position = 0_u64;
        for (start, len) in &list {
            let end = start
                .checked_add(*len)
                .filter(|end| *start >= position && *end <= size);
            position = end.ok_or_else(|| corrupt("the map of a sparse file goes beyond it"))?;
        }
        let segments = Self { list, map };
        if position != size || segments.stored() != stored {
            return Err(corrupt("the map of a sparse file does not fit its size"));
        }
        Ok(segments)
    }
}

/// No sparse file after all: to be read from its beginning.
#[cfg(unix)]
fn rewind(file: &File) -> Option<Segments> {
    // A seek to the beginning of a regular file does not fail.
    let _ = seek(file, SeekFrom::Start(0));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_survive_and_lies_do_not() {
        let segments = Segments::new(vec![(4096, 10), (1 << 40, 4096), (1 << 41, 0)]);
        let read = |size, stored| Segments::read(&mut segments.map(), size, stored);
        let again = read(1 << 41, segments.stored()).unwrap();
        assert_eq!(again.list, segments.list);
        assert!(read((1 << 41) - 1, segments.stored()).is_err());
        assert!(read(1 << 42, segments.stored()).is_err());
        assert!(read(1 << 41, segments.stored() + 1).is_err());
        assert!(read(1 << 41, 100).is_err());

        let overlapping = Segments::new(vec![(0, 10), (5, 10)]);
        assert!(Segments::read(&mut overlapping.map(), 15, overlapping.stored()).is_err());
        for bad in ["-1\n", "99999999999999999999\n", "70000\n", "x", "1\n1\n"] {
            let mut block = bad.as_bytes().to_vec();
            block.resize(BLOCK, 0);
            assert!(
                Segments::read(&mut block.as_slice(), 1, 512).is_err(),
                "{bad:?}"
            );
        }
    }
}
