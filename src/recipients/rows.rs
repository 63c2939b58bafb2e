//! Row numbers of a list, as `2-5,9`.

use std::{fmt, ops::RangeInclusive, path::Path, str::FromStr};

use thiserror::Error;

use crate::campaign::read_text;

/// A file of row numbers that is larger than this is none.
const MOST_BYTES: u64 = 1 << 24;

/// Some rows of a list, as the spreadsheet numbers them.
///
/// ```
/// use apiece::recipients::Rows;
/// let rows: Rows = "2-4,9".parse()?;
/// assert!(rows.contains(3) && rows.contains(9) && !rows.contains(5));
/// assert_eq!(Rows::of([9, 2, 3, 4]).to_string(), "2-4,9");
/// # Ok::<(), apiece::recipients::RowsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows(Vec<RangeInclusive<u64>>);

/// The text names no rows.
#[derive(Debug, Error)]
#[error(
    "rows are written like 2-5,9 (as the spreadsheet numbers them; the headings are row 1), or stand in a file: @FILE"
)]
pub struct RowsError;

impl Rows {
    /// The shortest way to say some row numbers.
    pub fn of(rows: impl IntoIterator<Item = u64>) -> Self {
        let mut rows: Vec<u64> = rows.into_iter().collect();
        rows.sort_unstable();
        let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
        for row in rows {
            match ranges.last_mut() {
                Some(last) if *last.end() == row => {}
                Some(last) if last.end() + 1 == row => *last = *last.start()..=row,
                _ => ranges.push(row..=row),
            }
        }
        Self(ranges)
    }

    /// Whether a row is among them.
    #[must_use]
    pub fn contains(&self, row: u64) -> bool {
        let before = self.0.partition_point(|range| *range.start() <= row);
        self.0[..before].last().is_some_and(|range| range.contains(&row))
    }

    /// The ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> &[RangeInclusive<u64>] {
        &self.0
    }
}

impl FromStr for Rows {
    type Err = RowsError;

    fn from_str(text: &str) -> Result<Self, RowsError> {
        match text.strip_prefix('@') {
            Some(file) => Self::listed(read_text(Path::new(file), MOST_BYTES).map_err(|_| RowsError)?.trim()),
            None => Self::listed(text),
        }
    }
}

impl Rows {
    /// Ranges with commas between them.
    fn listed(text: &str) -> Result<Self, RowsError> {
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<u64>().map_err(|_| RowsError);
            let (first, last) = (number(first)?, number(last)?);
            if first > last || first < 2 {
                return Err(RowsError);
            }
            ranges.push(first..=last);
        }
        ranges.sort_by_key(|range| *range.start());
        // Ranges that overlap become one.
        let mut apart: Vec<RangeInclusive<u64>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match apart.last_mut() {
                Some(last) if range.start() <= last.end() => *last = *last.start()..=*range.end().max(last.end()),
                _ => apart.push(range),
            }
        }
        Ok(Self(apart))
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, range) in self.0.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            if range.start() == range.end() {
                write!(f, "{comma}{}", range.start())?;
            } else {
                write!(f, "{comma}{}-{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

/// Some people of a list, or all, by their places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// So many, which are all.
    All(usize),
    /// Those at some places, in the order of the list.
    Some(Vec<usize>),
}

impl Selection {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Some(places) => places.len(),
        }
    }

    /// Whether nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of the nth; there must be so many.
    #[must_use]
    pub fn at(&self, nth: usize) -> usize {
        match self {
            Self::All(_) => nth,
            Self::Some(places) => places[nth],
        }
    }

    /// Whether somebody is among them.
    #[must_use]
    pub fn contains(&self, place: usize) -> bool {
        match self {
            Self::All(count) => place < *count,
            Self::Some(places) => places.binary_search(&place).is_ok(),
        }
    }

    /// The places of all.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> {
        (0..self.len()).map(|nth| self.at(nth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_may_overlap_or_stand_in_a_file() {
        let rows: Rows = "9,2-5,4-7,3".parse().unwrap();
        assert_eq!(rows.to_string(), "2-7,9");
        assert_eq!((1..11).filter(|row| rows.contains(*row)).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 9]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "2-3,7\n").unwrap();
        assert_eq!(format!("@{}", file.path().display()).parse::<Rows>().unwrap().to_string(), "2-3,7");
    }

    #[test]
    fn a_file_that_names_a_file_names_no_rows() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let itself = format!("@{}", file.path().display());
        std::fs::write(file.path(), &itself).unwrap();
        assert!(itself.parse::<Rows>().is_err());
    }

    #[test]
    fn what_names_no_rows_is_refused() {
        for text in ["", "x", "5-2", "1", "1-3", "2,,3", "-2"] {
            assert!(text.parse::<Rows>().is_err(), "{text}");
        }
    }
}
