//! How ids and small values stand in a column: ids as text, values as JSON.

use std::{error::Error, str::FromStr};

use rusqlite::{Row, types::Type};
use serde::{Serialize, de::DeserializeOwned};

/// A value as JSON.
pub fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("rows are made of text, numbers and plain enums")
}

/// A value that stands as JSON.
///
/// # Errors
/// When the column holds something else.
pub fn parsed<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let index = row.as_ref().column_index(column)?;
    let text: String = row.get(index)?;
    serde_json::from_str(&text).map_err(|e| wrong(index, e))
}

/// An id.
///
/// # Errors
/// When the column holds something else.
pub fn id<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    let index = row.as_ref().column_index(column)?;
    let text: String = row.get(index)?;
    text.parse().map_err(|e| wrong(index, e))
}

/// An id, or NULL.
///
/// # Errors
/// When the column holds something else.
pub fn optional_id<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    let index = row.as_ref().column_index(column)?;
    let text: Option<String> = row.get(index)?;
    text.map(|text| text.parse().map_err(|e| wrong(index, e)))
        .transpose()
}

fn wrong(index: usize, e: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(e))
}
