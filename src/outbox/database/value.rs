//! What goes into a statement, and what comes out of a row.

use super::{Done, Fault};

/// What stands in a statement's place for a value, or in a cell. There are no others: a time is a number of milliseconds, and what is
/// true is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::outbox) enum Value<'v> {
    Null,
    Number(i64),
    Text(&'v str),
    Octets(&'v [u8]),
}

/// What can go into a statement.
pub(in crate::outbox) trait AsValue {
    fn as_value(&self) -> Value<'_>;
}

/// Values for the places of a statement, in their order.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::outbox::database::AsValue::as_value(&$value)),*]
    };
}
pub(in crate::outbox) use values;

impl<T: AsValue + ?Sized> AsValue for &T {
    fn as_value(&self) -> Value<'_> {
        (**self).as_value()
    }
}

impl<T: AsValue> AsValue for Option<T> {
    fn as_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, AsValue::as_value)
    }
}

impl AsValue for i64 {
    fn as_value(&self) -> Value<'_> {
        Value::Number(*self)
    }
}

impl AsValue for u32 {
    fn as_value(&self) -> Value<'_> {
        Value::Number((*self).into())
    }
}

impl AsValue for u16 {
    fn as_value(&self) -> Value<'_> {
        Value::Number((*self).into())
    }
}

impl AsValue for bool {
    fn as_value(&self) -> Value<'_> {
        Value::Number((*self).into())
    }
}

impl AsValue for str {
    fn as_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl AsValue for String {
    fn as_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl AsValue for [u8] {
    fn as_value(&self) -> Value<'_> {
        Value::Octets(self)
    }
}

impl AsValue for Vec<u8> {
    fn as_value(&self) -> Value<'_> {
        Value::Octets(self)
    }
}

impl<const N: usize> AsValue for [u8; N] {
    fn as_value(&self) -> Value<'_> {
        Value::Octets(self)
    }
}

/// Which cell of a row.
#[derive(Debug, Clone, Copy)]
pub(in crate::outbox) enum At<'a> {
    Nth(usize),
    Named(&'a str),
}

impl From<usize> for At<'_> {
    fn from(nth: usize) -> Self {
        Self::Nth(nth)
    }
}

impl<'a> From<&'a str> for At<'a> {
    fn from(name: &'a str) -> Self {
        Self::Named(name)
    }
}

/// A row of an answer.
pub(in crate::outbox) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    #[cfg(feature = "postgres")]
    Postgres(&'r tokio_postgres::Row),
}

impl Row<'_> {
    /// What stands in a cell.
    pub(in crate::outbox) fn cell<'a>(&self, at: impl Into<At<'a>>) -> Done<Value<'_>> {
        match self {
            Self::Sqlite(row) => super::sqlite::cell(row, at.into()),
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => super::postgres::cell(row, at.into()),
        }
    }

    pub(in crate::outbox) fn get<'a, T: OfValue>(&self, at: impl Into<At<'a>>) -> Done<T> {
        T::of_value(self.cell(at)?)
    }

    /// A text that must be there.
    pub(in crate::outbox) fn text<'a>(&self, at: impl Into<At<'a>>) -> Done<&str> {
        self.text_if_any(at)?.ok_or(Fault::Odd)
    }

    /// A text that may be there.
    pub(in crate::outbox) fn text_if_any<'a>(&self, at: impl Into<At<'a>>) -> Done<Option<&str>> {
        match self.cell(at)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(Fault::Odd),
        }
    }

    /// Octets that must be there.
    pub(in crate::outbox) fn octets<'a>(&self, at: impl Into<At<'a>>) -> Done<&[u8]> {
        self.octets_if_any(at)?.ok_or(Fault::Odd)
    }

    /// Octets that may be there.
    pub(in crate::outbox) fn octets_if_any<'a>(&self, at: impl Into<At<'a>>) -> Done<Option<&[u8]>> {
        match self.cell(at)? {
            Value::Null => Ok(None),
            Value::Octets(octets) => Ok(Some(octets)),
            _ => Err(Fault::Odd),
        }
    }
}

/// What can be made of a cell.
pub(in crate::outbox) trait OfValue: Sized {
    fn of_value(value: Value<'_>) -> Done<Self>;
}

impl<T: OfValue> OfValue for Option<T> {
    fn of_value(value: Value<'_>) -> Done<Self> {
        match value {
            Value::Null => Ok(None),
            value => T::of_value(value).map(Some),
        }
    }
}

impl OfValue for i64 {
    fn of_value(value: Value<'_>) -> Done<Self> {
        match value {
            Value::Number(number) => Ok(number),
            _ => Err(Fault::Odd),
        }
    }
}

impl OfValue for u32 {
    fn of_value(value: Value<'_>) -> Done<Self> {
        i64::of_value(value)?.try_into().map_err(|_| Fault::Odd)
    }
}

impl OfValue for u16 {
    fn of_value(value: Value<'_>) -> Done<Self> {
        i64::of_value(value)?.try_into().map_err(|_| Fault::Odd)
    }
}

impl OfValue for bool {
    fn of_value(value: Value<'_>) -> Done<Self> {
        Ok(i64::of_value(value)? != 0)
    }
}

impl OfValue for String {
    fn of_value(value: Value<'_>) -> Done<Self> {
        match value {
            Value::Text(text) => Ok(text.to_owned()),
            _ => Err(Fault::Odd),
        }
    }
}

impl OfValue for Vec<u8> {
    fn of_value(value: Value<'_>) -> Done<Self> {
        match value {
            Value::Octets(octets) => Ok(octets.to_owned()),
            _ => Err(Fault::Odd),
        }
    }
}

impl<const N: usize> OfValue for [u8; N] {
    fn of_value(value: Value<'_>) -> Done<Self> {
        match value {
            Value::Octets(octets) => octets.try_into().map_err(|_| Fault::Odd),
            _ => Err(Fault::Odd),
        }
    }
}
