//! Dates, numbers and plurals as people of a language write them (CLDR, by ICU4X).

use std::{fmt, str::FromStr};

use fixed_decimal::{Decimal, SignedRoundingMode, UnsignedRoundingMode};
use icu_datetime::{DateTimeFormatter, fieldsets, input::Date};
use icu_decimal::{DecimalFormatter, options::DecimalFormatterOptions};
use icu_locale_core::Locale;
use icu_plurals::{PluralCategory, PluralOperands, PluralRules};

/// The language of a template that names none.
pub(super) const DEFAULT_LANGUAGE: &str = "en-GB";

/// A language, and how it writes things.
pub(super) struct Language {
    tag: Locale,
    short: DateTimeFormatter<fieldsets::YMD>,
    medium: DateTimeFormatter<fieldsets::YMD>,
    long: DateTimeFormatter<fieldsets::YMD>,
    full: DateTimeFormatter<fieldsets::YMDE>,
    numbers: DecimalFormatter,
    plurals: PluralRules,
}

/// How much of a date is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateStyle {
    /// 24/11/2026
    Short,
    /// 24 Nov 2026
    Medium,
    /// 24 November 2026
    Long,
    /// Tuesday, 24 November 2026
    Full,
}

impl FromStr for DateStyle {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "short" => Ok(Self::Short),
            "medium" => Ok(Self::Medium),
            "long" => Ok(Self::Long),
            "full" => Ok(Self::Full),
            _ => Err(()),
        }
    }
}

/// Languages that write a currency's symbol in front of the number, and whether a space stands between.
const SYMBOL_FIRST: [(&str, &str); 7] =
    [("en", ""), ("ja", ""), ("zh", ""), ("ko", ""), ("nl", "\u{a0}"), ("tr", ""), ("cy", "")];

/// Currencies with a symbol that everybody knows, and how many decimals they have if not two.
const SYMBOLS: [(&str, &str); 12] = [
    ("EUR", "€"),
    ("GBP", "£"),
    ("USD", "$"),
    ("JPY", "¥"),
    ("INR", "₹"),
    ("PLN", "zł"),
    ("CZK", "Kč"),
    ("UAH", "₴"),
    ("TRY", "₺"),
    ("ILS", "₪"),
    ("KRW", "₩"),
    ("HUF", "Ft"),
];

/// Currencies without decimals (ISO 4217).
const WHOLE: [&str; 6] = ["JPY", "KRW", "ISK", "CLP", "VND", "XAF"];

impl Language {
    /// From a tag such as `de` or `en-GB` (RFC 5646); `None` where that is none, or one that nothing is known of.
    pub(super) fn new(tag: &str) -> Option<Self> {
        let tag: Locale = tag.parse().ok()?;
        if tag.id.language.is_unknown() {
            return None;
        }
        let options = DecimalFormatterOptions::default();
        Some(Self {
            short: DateTimeFormatter::try_new((&tag).into(), fieldsets::YMD::short()).ok()?,
            medium: DateTimeFormatter::try_new((&tag).into(), fieldsets::YMD::medium()).ok()?,
            long: DateTimeFormatter::try_new((&tag).into(), fieldsets::YMD::long()).ok()?,
            full: DateTimeFormatter::try_new((&tag).into(), fieldsets::YMDE::long()).ok()?,
            numbers: DecimalFormatter::try_new((&tag).into(), options).ok()?,
            plurals: PluralRules::try_new_cardinal((&tag).into()).ok()?,
            tag,
        })
    }

    /// As in the HTML attribute `lang`.
    pub(super) fn tag(&self) -> String {
        self.tag.to_string()
    }

    /// A day in words or digits.
    pub(super) fn date(&self, day: jiff::civil::Date, style: DateStyle) -> Option<String> {
        let (month, day_of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
        let day = Date::try_new_iso(i32::from(day.year()), month, day_of_month).ok()?;
        Some(match style {
            DateStyle::Short => self.short.format(&day).to_string(),
            DateStyle::Medium => self.medium.format(&day).to_string(),
            DateStyle::Long => self.long.format(&day).to_string(),
            DateStyle::Full => self.full.format(&day).to_string(),
        })
    }

    /// A number (digits with a decimal point or none) with so many decimals, or with those that it has.
    pub(super) fn number(&self, number: &str, decimals: Option<u8>) -> Option<String> {
        Some(self.numbers.format(&rounded(number, decimals)?).to_string())
    }

    /// An amount with the symbol of a currency (ISO 4217) where the language has it.
    pub(super) fn currency(&self, number: &str, currency: &str) -> Option<String> {
        let decimals = if WHOLE.contains(&currency) { 0 } else { 2 };
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let sign = if unsigned.len() < number.len() { "-" } else { "" };
        let amount = self.number(unsigned, Some(decimals))?;
        let symbol = SYMBOLS.iter().find(|(code, _)| *code == currency).map_or(currency, |(_, symbol)| symbol);
        let first = SYMBOL_FIRST.iter().find(|(language, _)| *language == self.tag.id.language.as_str());
        Some(match first {
            // A code of letters keeps its distance.
            Some((_, space)) => {
                let space = if symbol.chars().all(|c| c.is_ascii_alphabetic()) { "\u{a0}" } else { space };
                format!("{sign}{symbol}{space}{amount}")
            }
            None => format!("{sign}{amount}\u{a0}{symbol}"),
        })
    }

    /// Which form of a word goes with a number: `one`, `few`, `other` …
    pub(super) fn plural(&self, number: &str) -> Option<&'static str> {
        let number: Decimal = number.trim_start_matches('-').parse().ok()?;
        Some(match self.plurals.category_for(PluralOperands::from(&number)) {
            PluralCategory::Zero => "zero",
            PluralCategory::One => "one",
            PluralCategory::Two => "two",
            PluralCategory::Few => "few",
            PluralCategory::Many => "many",
            PluralCategory::Other => "other",
        })
    }
}

fn rounded(number: &str, decimals: Option<u8>) -> Option<Decimal> {
    let mut number: Decimal = number.parse().ok()?;
    if let Some(decimals) = decimals {
        let position = -i16::from(decimals);
        // As people round: half away from zero.
        number.round_with_mode(position, SignedRoundingMode::Unsigned(UnsignedRoundingMode::HalfExpand));
        number.absolute.pad_end(position);
    }
    Some(number)
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Language({})", self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_written_as_in_the_language() {
        let day = jiff::civil::date(2026, 11, 24);
        for (tag, long, full, number, euros) in [
            ("en-GB", "24 November 2026", "Tuesday, 24 November 2026", "1,234.5", "€1,234.50"),
            ("en-US", "November 24, 2026", "Tuesday, November 24, 2026", "1,234.5", "€1,234.50"),
            ("de", "24. November 2026", "Dienstag, 24. November 2026", "1.234,5", "1.234,50\u{a0}€"),
            ("fr", "24 novembre 2026", "mardi 24 novembre 2026", "1\u{202f}234,5", "1\u{202f}234,50\u{a0}€"),
            ("nl", "24 november 2026", "dinsdag 24 november 2026", "1.234,5", "€\u{a0}1.234,50"),
        ] {
            let language = Language::new(tag).unwrap();
            assert_eq!(language.date(day, DateStyle::Long).unwrap(), long);
            assert_eq!(language.date(day, DateStyle::Full).unwrap(), full);
            assert_eq!(language.number("1234.5", None).unwrap(), number);
            assert_eq!(language.currency("1234.5", "EUR").unwrap(), euros);
        }
        let english = Language::new("en").unwrap();
        assert_eq!(english.currency("-3", "GBP").as_deref(), Some("-£3.00"));
        assert_eq!(english.currency("3", "CHF").as_deref(), Some("CHF\u{a0}3.00"));
        assert_eq!(english.currency("1234.5", "JPY").as_deref(), Some("¥1,235"));
        assert_eq!(english.number("0.125", Some(2)).as_deref(), Some("0.13"));
        let polish = Language::new("pl").unwrap();
        assert_eq!(
            ["1", "3", "5", "1.5"].map(|number| polish.plural(number).unwrap()),
            ["one", "few", "many", "other"]
        );
        assert!(Language::new("not a language").is_none() && Language::new("").is_none());
    }
}
