//! One value, wherever it came from, and how it is refused.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

use backupd_base::{Code, Context, Error, Result};
use serde::de::DeserializeOwned;

/// A value with the name the admin gave it under.
pub(super) struct Setting {
    name: String,
    text: String,
}

impl Setting {
    pub(super) fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn refused(&self, allowed: &str) -> Error {
        let Self { name, text } = self;
        Error::new(
            Code::Invalid,
            format!("{name} is {text:?}; allowed is {allowed}"),
        )
    }

    pub(super) fn parse<T: FromStr>(&self, allowed: &str) -> Result<T> {
        self.text.trim().parse().map_err(|_| self.refused(allowed))
    }

    pub(super) fn whole(&self, range: RangeInclusive<u64>) -> Result<u64> {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        let number = self.parse(&allowed)?;
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(self.refused(&allowed))
        }
    }

    pub(super) fn absolute_path(&self) -> Result<PathBuf> {
        let path = PathBuf::from(&self.text);
        if path.is_absolute() {
            Ok(path)
        } else {
            Err(self.refused("an absolute path"))
        }
    }
}

/// The environment over the file.
pub(super) struct Settings<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    file: String,
    table: toml::Table,
    known: Vec<&'static str>,
}

impl<'a> Settings<'a> {
    pub(super) fn new(
        environment: &'a dyn Fn(&str) -> Option<String>,
        file: Option<&Path>,
        table: toml::Table,
    ) -> Self {
        Self {
            environment,
            file: file
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
            table,
            known: Vec::new(),
        }
    }

    /// A single value: `BACKUPD_KEY`, else `key` in the file.
    pub(super) fn take(&mut self, key: &'static str) -> Result<Option<Setting>> {
        self.known.push(key);
        let in_file = self.table.remove(key);
        let variable = format!("BACKUPD_{}", key.to_uppercase());
        if let Some(text) = (self.environment)(&variable) {
            return Ok(Some(Setting::new(variable, text)));
        }
        let name = || format!("{key} in {}", self.file);
        match in_file {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(Setting::new(name(), text))),
            Some(toml::Value::Integer(n)) => Ok(Some(Setting::new(name(), n.to_string()))),
            Some(other) => {
                Err(Setting::new(name(), other.to_string()).refused("a text or a whole number"))
            }
        }
    }

    /// A list or a table, which only the file can hold.
    pub(super) fn take_value<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<T>> {
        self.known.push(key);
        let Some(value) = self.table.remove(key) else {
            return Ok(None);
        };
        value
            .try_into()
            .map(Some)
            .with_context(|| format!("read {key} in {}", self.file))
            .map_err(|e| e.with_code(Code::Invalid))
    }

    /// Refuses what nobody asked for: a mistyped key must not be silently without effect.
    pub(super) fn finish(self) -> Result<()> {
        let Some(key) = self.table.keys().next() else {
            return Ok(());
        };
        Err(Error::new(
            Code::Invalid,
            format!(
                "{} has the key {key:?}; allowed are {}",
                self.file,
                self.known.join(", ")
            ),
        ))
    }
}
