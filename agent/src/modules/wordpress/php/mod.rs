//! Reads what a PHP file defines, without running it: constants and variables whose value stands
//! in the file or follows from what stands there. What is decided at run time is told as such.
//!
//! The grammar is tree-sitter's: it takes any input in bounded stack, and the files read here
//! belong to whoever owns the site.
//!
//! Deliberately not here: what WordPress makes of the constants, and any way to run PHP.

mod eval;
mod value;

use std::{
    collections::HashMap,
    fs::File,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use backupd_base::{Code, Context as _, Error, Result};

pub use value::Value;

/// Larger files are not configurations.
const MAX_BYTES: u64 = 1024 * 1024;
/// A configuration spread over more files than this is not followed to its end.
const MAX_FILES: usize = 16;

/// What a file, and the files it includes, define.
#[derive(Default)]
pub struct Definitions {
    constants: HashMap<String, Value>,
    variables: HashMap<String, Value>,
    files: Vec<PathBuf>,
    syntax_error: Option<(PathBuf, usize)>,
}

impl Definitions {
    /// Reads `path`, and the files it includes where their paths can be told and they belong to
    /// the same user. `known` are constants that are defined before the file is reached.
    ///
    /// # Errors
    /// The file cannot be read, is larger than 1 MiB, or is a link to another user's file.
    pub fn read(path: &Path, known: &[(&str, String)]) -> Result<Self> {
        let mut definitions = Self::default();
        for (name, value) in known {
            definitions
                .constants
                .insert((*name).to_owned(), Value::Str(value.clone()));
        }
        let text = read_own(path, None)?;
        definitions.evaluate(path, text);
        Ok(definitions)
    }

    /// The value of a constant, or `None` when nothing defines it.
    #[must_use]
    pub fn constant(&self, name: &str) -> Option<&Value> {
        self.constants.get(name)
    }

    /// The value of a variable at the end of the file, or `None` when nothing sets it.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Value> {
        self.variables.get(name)
    }

    /// The first place that is not PHP: file, and line from 1.
    #[must_use]
    pub fn syntax_error(&self) -> Option<(&Path, usize)> {
        self.syntax_error
            .as_ref()
            .map(|(file, line)| (file.as_path(), *line))
    }

    fn evaluate(&mut self, path: &Path, text: String) {
        self.files.push(path.to_owned());
        let mut parser = tree_sitter::Parser::new();
        parser
            .set_language(&tree_sitter_php::LANGUAGE_PHP.into())
            .expect("grammar and runtime are of matching versions");
        let Some(tree) = parser.parse(&text, None) else {
            return;
        };
        if self.syntax_error.is_none()
            && let Some(line) = first_error(tree.root_node())
        {
            self.syntax_error = Some((path.to_owned(), line));
        }
        eval::File::new(self, path, &text).statements(tree.root_node());
    }

    /// Follows an include, when it may be followed.
    fn include(&mut self, from: &Path, path: &Path) {
        let path = from.parent().unwrap_or(Path::new("/")).join(path);
        // It is WordPress itself, and reads the database.
        let is_core = path.file_name().is_some_and(|n| n == "wp-settings.php");
        if is_core || self.files.len() >= MAX_FILES || self.files.contains(&path) {
            return;
        }
        if let Ok(text) = read_own(&path, Some(from)) {
            self.evaluate(&path, text);
        }
    }
}

/// Reads a file that belongs to the same user as `like` (else as the link that leads to it).
///
/// The agent is root, the site's owner is not: he must not have it read another site's
/// configuration by linking to it or including it.
fn read_own(path: &Path, like: Option<&Path>) -> Result<String> {
    let what = || format!("read {}", path.display());
    let owner = std::fs::symlink_metadata(like.unwrap_or(path))
        .with_context(what)?
        .uid();
    let file = File::open(path).with_context(what)?;
    let meta = file.metadata().with_context(what)?;
    if !meta.is_file() || meta.len() > MAX_BYTES {
        let why = format!("{} is not a file of at most 1 MiB", path.display());
        return Err(Error::new(Code::Invalid, why));
    }
    if meta.uid() != owner {
        let why = format!("{} belongs to another user", path.display());
        return Err(Error::new(Code::Denied, why));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .with_context(what)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn first_error(root: tree_sitter::Node<'_>) -> Option<usize> {
    if !root.has_error() {
        return None;
    }
    let mut cursor = root.walk();
    // Preorder without recursion; the depth of the tree is the file's owner's choice.
    loop {
        let node = cursor.node();
        if node.is_error() || node.is_missing() {
            return Some(node.start_position().row + 1);
        }
        if node.has_error() && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return Some(1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
