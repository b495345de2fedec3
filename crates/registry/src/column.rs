//! How ids and JSON stand in a column.

use std::str::FromStr;

use rusqlite::{Row, types::Type};

type StdError = Box<dyn std::error::Error + Send + Sync>;

/// A text column that parses: an id.
pub fn parsed<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Into<StdError>,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|e: T::Err| refused(e))
}

/// [`parsed`], or `NULL`.
pub fn parsed_optional<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: Into<StdError>,
{
    let text: Option<String> = row.get(column)?;
    text.map(|t| t.parse().map_err(|e: T::Err| refused(e)))
        .transpose()
}

/// A number that is not negative. SQLite knows 63 bits.
pub fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(refused)
}

/// [`unsigned`], the other way. What does not fit 63 bits is no size that exists.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column whose content this program did not write.
pub fn refused(error: impl Into<StdError>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into())
}
