//! A WordPress-shaped `wp-content` for benchmarks: text that compresses like a real site's, and
//! uploads that do not compress at all. The same seed gives the same bytes.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};
use walkdir::WalkDir;

use crate::wordpress;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generated {
    /// Number of files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The largest upload.
const LARGEST: u64 = 12 << 20;

/// Writes `dir/wp-content` with about `text_bytes` of PHP, JavaScript and CSS (those of WordPress
/// itself, slightly edited in each copy) and `image_bytes` of uploads, whose sizes are
/// log-normal around 130 KB.
///
/// # Panics
/// When a file cannot be written.
pub fn generate(dir: &Path, text_bytes: u64, image_bytes: u64, seed: u64) -> Generated {
    let mut site = Site {
        content: dir.join("wp-content"),
        random: StdRng::seed_from_u64(seed),
        done: Generated { files: 0, bytes: 0 },
    };
    site.texts(text_bytes);
    site.uploads(image_bytes);
    site.done
}

struct Site {
    content: PathBuf,
    random: StdRng,
    done: Generated,
}

impl Site {
    fn texts(&mut self, bytes: u64) {
        let sources = sources();
        let mut copy = 0;
        while self.done.bytes < bytes {
            let kind = if copy % 8 == 7 {
                "themes/theme"
            } else {
                "plugins/plugin"
            };
            let folder = self.content.join(format!("{kind}-{copy:03}"));
            for (path, text) in &sources {
                if self.done.bytes >= bytes {
                    break;
                }
                let edited = self.edit(text, copy);
                self.write(&folder.join(path), &edited);
            }
            copy += 1;
        }
    }

    /// As a plugin's next version differs from its last: a line here and there.
    fn edit(&mut self, text: &[u8], copy: u32) -> Vec<u8> {
        let mut edited = Vec::with_capacity(text.len() + text.len() / 64);
        for (number, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
            edited.extend_from_slice(line);
            if number % 40 == 39 {
                let revision: u32 = self.random.gen_range(0..1_000_000);
                edited.extend_from_slice(format!("/* v{copy}.{revision} */\n").as_bytes());
            }
        }
        edited
    }

    fn uploads(&mut self, bytes: u64) {
        const ENDINGS: [&str; 12] = [
            "jpg", "jpg", "jpg", "jpg", "jpg", "jpg", "jpg", "jpg", "webp", "png", "pdf", "mp4",
        ];
        let uploads = self.content.join("uploads");
        let (mut left, mut number) = (bytes, 0u32);
        while left > 0 {
            let size = self.log_normal(11.8, 1.1).min(LARGEST).min(left);
            let mut body = vec![0; size as usize];
            self.random.fill_bytes(&mut body);
            let ending = ENDINGS[self.random.gen_range(0..ENDINGS.len())];
            let month = format!("{}/{:02}", 2018 + number % 7, 1 + number % 12);
            let name = format!("upload-{number:06}.{ending}");
            self.write(&uploads.join(month).join(name), &body);
            left -= size;
            number += 1;
        }
    }

    /// A size whose logarithm is normal (Box and Muller, 1958).
    fn log_normal(&mut self, mean: f64, deviation: f64) -> u64 {
        let (a, b): (f64, f64) = (
            self.random.gen_range(f64::EPSILON..1.0),
            self.random.r#gen(),
        );
        let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        (mean + deviation * normal).exp() as u64 + 1
    }

    fn write(&mut self, path: &Path, body: &[u8]) {
        let age = Duration::from_secs(1_600_000_000 + self.done.files * 97);
        let written = write_file(path, body, SystemTime::UNIX_EPOCH + age);
        written.unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
        self.done.files += 1;
        self.done.bytes += body.len() as u64;
    }
}

fn write_file(path: &Path, body: &[u8], modified: SystemTime) -> io::Result<()> {
    fs::create_dir_all(path.parent().expect("it lies in a folder"))?;
    let mut file = fs::File::create(path)?;
    file.write_all(body)?;
    file.set_modified(modified)
}

/// The texts of WordPress with their paths, in an order that does not depend on the disk.
fn sources() -> Vec<(PathBuf, Vec<u8>)> {
    let root = wordpress::package();
    WalkDir::new(&root)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.expect("walk the unpacked WordPress").into_path())
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            matches!(ending, Some("php" | "js" | "css"))
        })
        .map(|path| {
            let text = fs::read(&path).expect("read the unpacked WordPress");
            let path = path.strip_prefix(&root).expect("it lies below");
            (path.to_owned(), text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_same_tree, tree_differences};

    #[test]
    fn a_seed_makes_one_site() {
        let folder = tempfile::tempdir().unwrap();
        let site = |name: &str, seed| {
            let path = folder.path().join(name);
            (generate(&path, 3 << 20, 2 << 20, seed), path)
        };
        let ((made, a), (again, b), (_, other)) = (site("a", 7), site("b", 7), site("c", 8));
        assert_eq!(made, again);
        assert!((5 << 20..6 << 20).contains(&made.bytes), "{made:?}");
        // Folders get the time of their making.
        for entry in WalkDir::new(folder.path()).contents_first(true) {
            let entry = entry.unwrap();
            if entry.file_type().is_dir() {
                let folder = fs::File::open(entry.path()).unwrap();
                folder.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            }
        }
        assert_same_tree(&a, &b);
        assert!(!tree_differences(&a, &other).is_empty());
    }
}
