//! How our values become columns: whole numbers above SQLite's range are held at its end, which no
//! counter reaches; a negative number where none can be is a damaged row.

use greenroom_actors::domain::frame::{LogId, LogKind};
use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

/// A whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole(pub(super) u64);

impl ToSql for Whole {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Whole {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Self).map_err(|_negative| FromSqlError::OutOfRange(number))
    }
}

/// A text that parses as one of our values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parsed<T>(pub(super) T);

impl<T> FromSql for Parsed<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(FromSqlError::other)
    }
}

/// A value kept as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Json<T>(pub(super) T);

impl<T: serde::Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        serde_json::to_string(&self.0)
            .map(ToSqlOutput::from)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl<T: serde::de::DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

/// The word for a kind of log.
pub(super) const fn kind(log: LogId) -> &'static str {
    match log.kind {
        LogKind::Session => "session",
        LogKind::Ledger => "ledger",
        LogKind::House => "house",
        LogKind::Job => "job",
    }
}

/// A log's id as text.
pub(super) fn id(log: LogId) -> String {
    log.id.as_hyphenated().to_string()
}
