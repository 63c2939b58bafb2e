//! Sizes of messages, as people write them.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A number of octets, such as `25MB` (25,000,000) or `10MiB` (10 × 1,048,576).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a whole number with kB, MB, KiB or MiB behind it is wanted, for example 25MB")]
pub struct SizeError;

impl Size {
    /// In octets.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let unit = match text[digits..].trim_start().to_ascii_lowercase().as_str() {
            "b" | "bytes" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            _ => return Err(SizeError),
        };
        let number: u64 = text[..digits].parse().map_err(|_| SizeError)?;
        // What no server takes is a slip.
        let bytes = number.checked_mul(unit).filter(|bytes| (1_000..=2_000_000_000).contains(bytes));
        bytes.map(Self).ok_or(SizeError)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes.is_multiple_of(1_000_000) => write!(f, "{}MB", bytes / 1_000_000),
            bytes if bytes.is_multiple_of(1 << 20) => write!(f, "{}MiB", bytes >> 20),
            bytes if bytes.is_multiple_of(1_000) => write!(f, "{}kB", bytes / 1_000),
            bytes => write!(f, "{bytes}B"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes) in [("25MB", 25_000_000), ("10 MiB", 10 << 20), ("500kb", 500_000), ("2048 KiB", 2 << 20)] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes);
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        for wrong in ["", "25", "MB", "-1MB", "1.5MB", "25M", "0MB", "999B", "99999999999999999999MB", "3000MB"] {
            assert_eq!(wrong.parse::<Size>(), Err(SizeError), "{wrong}");
        }
    }
}
