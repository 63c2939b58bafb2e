//! Decimal numbers, digit by digit, as a spreadsheet rounds and places them.

use std::fmt::Write;

use super::shown::Token;

/// 0.DIGITS × 10^point, without trailing zeros.
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

impl Decimal {
    /// The 15 digits that a spreadsheet keeps of a number; its sign is left out.
    fn of(value: f64) -> Self {
        let text = format!("{:.14e}", value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
        let mut decimal = Self { digits, point: exponent.parse::<i32>().unwrap_or(0) + 1 };
        decimal.trim();
        decimal
    }

    fn trim(&mut self) {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.point = 0;
        }
    }

    /// Times a power of ten.
    fn shift(&mut self, by: i32) {
        if !self.digits.is_empty() {
            self.point += by;
        }
    }

    /// Half away from zero.
    fn round(&mut self, decimals: i32) {
        let Ok(keep) = usize::try_from(self.point + decimals) else {
            self.digits.clear();
            return self.trim();
        };
        let Some(next) = self.digits.get(keep).copied() else { return };
        self.digits.truncate(keep);
        if next >= 5 {
            while self.digits.last() == Some(&9) {
                self.digits.pop();
            }
            match self.digits.last_mut() {
                Some(last) => *last += 1,
                None => {
                    self.digits.push(1);
                    self.point += 1;
                }
            }
        }
        self.trim();
    }

    /// The digits of a stretch of places; place 0 is the first before the point, -1 the first behind it.
    fn places(&self, from: i32, to: i32) -> String {
        let digit = |place: i32| {
            let nth = usize::try_from(self.point - 1 - place).ok();
            char::from(b'0' + nth.and_then(|nth| self.digits.get(nth)).copied().unwrap_or(0))
        };
        (to..=from).rev().map(digit).collect()
    }

    /// What stands before the point; nothing for zero.
    fn whole(&self) -> String {
        self.places(self.point - 1, 0)
    }
}

/// Appends a number without a format: all its digits, and an exponent only where there would be very many zeros.
pub(super) fn push_general(value: f64, out: &mut String) {
    let number = Decimal::of(value);
    if number.digits.is_empty() {
        return out.push('0');
    }
    if value < 0.0 {
        out.push('-');
    }
    let exponent = number.point - 1;
    let last = number.point - i32::try_from(number.digits.len()).unwrap_or(0);
    if (-10..=20).contains(&exponent) {
        let whole = number.whole();
        out.push_str(if whole.is_empty() { "0" } else { &whole });
        if last < 0 {
            out.push('.');
            out.push_str(&number.places(-1, last));
        }
    } else {
        out.push_str(&number.places(exponent, exponent));
        if last < exponent {
            out.push('.');
            out.push_str(&number.places(exponent - 1, last));
        }
        let _ = write!(out, "E{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
}

/// Where the digits of a format go.
struct Layout {
    /// Of the decimal point, or of what follows the last digit before it.
    point: usize,
    /// Of the exponent.
    exponent: usize,
    whole: i32,
    decimals: i32,
    grouped: bool,
    /// By which power of ten the number is multiplied first.
    shift: i32,
}

impl Layout {
    fn of(tokens: &[Token]) -> Self {
        let is_digit = |token: &Token| matches!(token, Token::Digit(_));
        let count =
            |tokens: &[Token]| i32::try_from(tokens.iter().filter(|token| is_digit(token)).count()).unwrap_or(0);
        let exponent = tokens.iter().position(|token| matches!(token, Token::Exponent { .. })).unwrap_or(tokens.len());
        let mantissa = &tokens[..exponent];
        let point = mantissa.iter().position(|token| *token == Token::Point).unwrap_or(exponent);
        let whole = &mantissa[..point];
        // A comma between digits groups them; one behind the last divides by a thousand.
        let comma = |token: &&Token| **token == Token::Comma;
        let behind = |tokens: &[Token]| tokens.iter().rev().take_while(|token| !is_digit(token)).filter(comma).count();
        let decimals = count(&mantissa[point..]);
        let thousands = behind(mantissa) + if decimals > 0 { behind(whole) } else { 0 };
        let between = whole.iter().skip_while(|token| !is_digit(token)).filter(comma).count();
        let percents = tokens.iter().filter(|token| **token == Token::Percent).count();
        let times = |count: usize, power: i32| i32::try_from(count).unwrap_or(0) * power;
        Self {
            point,
            exponent,
            whole: count(whole),
            decimals,
            grouped: between > behind(whole),
            shift: times(percents, 2) - times(thousands, 3),
        }
    }
}

/// Appends a number that is not negative, its digits where the format has places for them.
pub(super) fn push_placed(tokens: &[Token], value: f64, minus: bool, out: &mut String) {
    let layout = Layout::of(tokens);
    let mut number = Decimal::of(value);
    number.shift(layout.shift);
    let mut exponent = 0;
    if layout.exponent < tokens.len() {
        exponent = scale(&mut number, &layout);
    }
    number.round(layout.decimals);
    if minus {
        out.push('-');
    }
    let whole = number.whole();
    let mut left = layout.whole;
    let mut place = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Literal(literal) => out.push_str(literal),
            Token::Percent => out.push('%'),
            Token::Slash => out.push('/'),
            Token::Whole => push_general(value, out),
            Token::Exponent { plus } => push_exponent(exponent, *plus, &tokens[at..], out),
            Token::Digit(_) if at > layout.exponent => {}
            Token::Point if at == layout.point => {
                if layout.whole == 0 {
                    out.push_str(&whole);
                }
                out.push('.');
            }
            Token::Digit(kind) if at < layout.point => {
                push_whole(*kind, &whole, left, &layout, out);
                left -= 1;
            }
            Token::Digit(kind) => {
                place -= 1;
                let digit = number.places(place, place);
                let ended = number.point - i32::try_from(number.digits.len()).unwrap_or(0) > place;
                match kind {
                    '#' if ended => {}
                    '?' if ended => out.push(' '),
                    _ => out.push_str(&digit),
                }
            }
            _ => {}
        }
    }
}

/// Appends the digit for the place that has `left` places from it to the point; the first takes those before it, too.
fn push_whole(kind: char, whole: &str, left: i32, layout: &Layout, out: &mut String) {
    let length = i32::try_from(whole.len()).unwrap_or(0);
    let first = if left == layout.whole { length.max(left) } else { left };
    for place in (left..=first).rev() {
        let digit = usize::try_from(length - place).ok().and_then(|nth| whole.as_bytes().get(nth));
        match (digit, kind) {
            (Some(digit), _) => out.push(char::from(*digit)),
            (None, '0') => out.push('0'),
            (None, '?') => out.push(' '),
            (None, _) => continue,
        }
        if layout.grouped && place > 1 && place % 3 == 1 && (digit.is_some() || kind == '0') {
            out.push(',');
        }
    }
}

/// Makes the number have as many digits before its point as the format, and gives its exponent.
fn scale(number: &mut Decimal, layout: &Layout) -> i32 {
    if number.digits.is_empty() {
        return 0;
    }
    let step = layout.whole.max(1);
    let exponent_of = |number: &Decimal| match layout.whole {
        0 => number.point,
        1 => number.point - 1,
        _ => (number.point - 1).div_euclid(step) * step,
    };
    let mut exponent = exponent_of(number);
    number.shift(-exponent);
    number.round(layout.decimals);
    // 9.996 became 10.00.
    let more = exponent_of(number);
    if more > 0 {
        number.shift(-more);
        exponent += more;
    }
    exponent
}

fn push_exponent(exponent: i32, plus: bool, tokens: &[Token], out: &mut String) {
    let width = tokens.iter().filter(|token| matches!(token, Token::Digit(_))).count();
    out.push('E');
    if exponent < 0 {
        out.push('-');
    } else if plus {
        out.push('+');
    }
    let _ = write!(out, "{:0width$}", exponent.abs());
}

/// Appends a number as whole and fraction; `false` if it is too large or the format is no fraction.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
pub(super) fn push_fraction(tokens: &[Token], value: f64, minus: bool, out: &mut String) -> bool {
    let Some(slash) = tokens.iter().position(|token| *token == Token::Slash) else { return false };
    let is_digit = |token: &&Token| matches!(token, Token::Digit(_));
    let numerator = tokens[..slash].iter().rev().skip_while(|token| !is_digit(token)).take_while(is_digit).count();
    let all = tokens[..slash].iter().filter(is_digit).count();
    let fixed: String = tokens[slash + 1..]
        .iter()
        .filter_map(|token| match token {
            Token::Literal(literal) => Some(literal.trim()),
            Token::Digit('0') => Some("0"),
            _ => None,
        })
        .collect();
    let places = tokens[slash + 1..].iter().filter(is_digit).count();
    if numerator == 0 || value >= 1.0e9 {
        return false;
    }
    let whole = if all > numerator { value.trunc() } else { 0.0 };
    let part = value - whole;
    let (mut top, mut bottom) = (0.0_f64, 1.0_f64);
    match fixed.parse::<u16>() {
        Ok(fixed) if fixed > 0 => (top, bottom) = ((part * f64::from(fixed)).round(), f64::from(fixed)),
        _ => {
            let most = 10_u32.pow(places.clamp(1, 3) as u32);
            let mut best = f64::INFINITY;
            for tried in (1..most).map(f64::from) {
                let nearest = (part * tried).round();
                let off = (part - nearest / tried).abs();
                // A fraction in higher terms is never nearer but for what binary numbers lose.
                if off < best - 1e-12 {
                    (top, bottom, best) = (nearest, tried, off);
                }
            }
        }
    }
    let mut whole = whole as u64;
    if all > numerator && top >= bottom {
        (whole, top) = (whole + 1, 0.0);
    }
    if minus {
        out.push('-');
    }
    let _ = match (all > numerator, top as u64) {
        (true, 0) => write!(out, "{whole}"),
        (true, top) if whole > 0 => write!(out, "{whole} {top}/{bottom}"),
        (_, top) => write!(out, "{top}/{bottom}"),
    };
    true
}
