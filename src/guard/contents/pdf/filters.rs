//! What streams are packed with (ISO 32000-1 §7.4).

use std::io::Read;

use flate2::{bufread::DeflateDecoder, bufread::ZlibDecoder};

use super::{
    super::{Opaque, Walk},
    File,
    object::{Dict, Object, is_white, unhex},
};

/// Filters on one stream.
const MOST_FILTERS: usize = 8;

/// The bytes of a stream as they are meant, `None` where they are a picture's.
pub(super) fn decode(
    walk: &mut Walk<'_>,
    file: &File<'_>,
    dict: &Dict,
    data: &[u8],
) -> Result<Option<Vec<u8>>, Opaque> {
    let many = |key: &str, short: &str| match file.get(dict, key).or_else(|| file.get(dict, short)) {
        Some(Object::Array(items)) => items.iter().map(|item| file.resolve(item)).collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let (filters, parameters) = (many("Filter", "F"), many("DecodeParms", "DP"));
    let mut bytes = data.to_vec();
    if filters.is_empty() {
        walk.charge(bytes.len())?;
    }
    for (nth, filter) in filters.iter().enumerate() {
        let Some(filter) = filter.name().filter(|_| nth < MOST_FILTERS) else { return Ok(None) };
        let parameters = parameters.get(nth).and_then(|parameters| parameters.dict());
        let number = |key: &str, otherwise: usize| {
            parameters.and_then(|dict| file.get(dict, key)).and_then(Object::whole).unwrap_or(otherwise)
        };
        bytes = match filter {
            "FlateDecode" | "Fl" => inflate(walk, &bytes)?,
            "LZWDecode" | "LZW" => {
                // Of these limits the decoder knows.
                let most = usize::try_from(walk.left).unwrap_or(usize::MAX);
                lzw(&bytes, number("EarlyChange", 1) != 0, most)
            }
            "ASCIIHexDecode" | "AHx" => unhex(bytes.split(|byte| *byte == b'>').next().unwrap_or_default()),
            "ASCII85Decode" | "A85" => ascii85(&bytes),
            "RunLengthDecode" | "RL" => run_length(&bytes, usize::try_from(walk.left).unwrap_or(usize::MAX)),
            "Crypt" => bytes,
            _ => return Ok(None),
        };
        if !matches!(filter, "FlateDecode" | "Fl") {
            walk.charge(bytes.len())?;
        }
        if matches!(filter, "FlateDecode" | "Fl" | "LZWDecode" | "LZW") && number("Predictor", 1) > 1 {
            let row =
                number("Columns", 1).saturating_mul(number("Colors", 1)).saturating_mul(number("BitsPerComponent", 8));
            let pixel = number("Colors", 1).saturating_mul(number("BitsPerComponent", 8)).div_ceil(8);
            bytes = unpredict(&bytes, number("Predictor", 1), row.div_ceil(8), pixel);
        }
    }
    Ok(Some(bytes))
}

/// What can be unpacked before an error; a wrong sum at the end hinders no reader.
fn inflate(walk: &mut Walk<'_>, bytes: &[u8]) -> Result<Vec<u8>, Opaque> {
    let start = bytes.iter().position(|byte| !is_white(*byte)).unwrap_or(0);
    let bytes = &bytes[start..];
    let unpacked = walk.unpack(ZlibDecoder::new(bytes))?;
    if !unpacked.bytes.is_empty() || bytes.len() < 2 {
        if !unpacked.whole && bytes.len() >= 2 {
            // Only the sum may be wrong.
            let mut behind = DeflateDecoder::new(&bytes[2..]).take(walk.left);
            walk.torn |= std::io::copy(&mut behind, &mut std::io::sink()).is_err();
        }
        return Ok(unpacked.bytes);
    }
    // A header that is wrong
    Ok(walk.unpack(DeflateDecoder::new(&bytes[2..]))?.bytes)
}

/// §7.4.4.2: codes of 9 to 12 bits, the high bits first.
fn lzw(bytes: &[u8], early: bool, most: usize) -> Vec<u8> {
    const CLEAR: usize = 256;
    const END: usize = 257;
    let mut out: Vec<u8> = Vec::new();
    // Where in the output the string of each code stands
    let mut table: Vec<(usize, usize)> = Vec::new();
    let mut before: Option<(usize, usize)> = None;
    let (mut held, mut bits) = (0_usize, 0);
    let mut width = 9;
    for byte in bytes {
        held = (held << 8 | usize::from(*byte)) & 0xff_ffff;
        bits += 8;
        if bits < width {
            continue;
        }
        let code = held >> (bits - width) & ((1 << width) - 1);
        bits -= width;
        if code == CLEAR {
            (before, width) = (None, 9);
            table.clear();
            continue;
        }
        if code == END || out.len() > most {
            break;
        }
        let start = out.len();
        let known = if code < CLEAR { None } else { table.get(code - 258).copied() };
        match (u8::try_from(code), known, before) {
            (Ok(byte), ..) => out.push(byte),
            (_, Some((from, to)), _) => out.extend_from_within(from..to),
            (_, None, Some((from, to))) => {
                out.extend_from_within(from..to);
                out.extend_from_within(from..=from);
            }
            (_, None, None) => break,
        }
        if let Some((from, to)) = before
            && table.len() < 4096 - 258
        {
            // It is followed in the output by the first byte of the new string.
            table.push((from, to + 1));
        }
        before = Some((start, out.len()));
        width = match table.len() + 258 + usize::from(early) {
            ..512 => 9,
            512..1024 => 10,
            1024..2048 => 11,
            _ => 12,
        };
    }
    out
}

fn ascii85(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut group: Vec<u32> = Vec::new();
    let mut push = |group: &[u32]| {
        let padded = group.iter().copied().chain(std::iter::repeat(84)).take(5);
        let value = padded.fold(0_u32, |value, digit| value.wrapping_mul(85).wrapping_add(digit));
        out.extend_from_slice(&value.to_be_bytes()[..group.len().saturating_sub(1)]);
    };
    for byte in bytes {
        match byte {
            b'!'..=b'u' => {
                group.push(u32::from(byte - b'!'));
                if group.len() == 5 {
                    push(&group);
                    group.clear();
                }
            }
            b'z' if group.is_empty() => push(&[0; 5]),
            b'~' => break,
            _ => {}
        }
    }
    push(&group);
    out
}

fn run_length(bytes: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let [length, after @ ..] = rest
        && *length != 128
        && out.len() <= most
    {
        if *length < 128 {
            let (literal, after) = after.split_at((usize::from(*length) + 1).min(after.len()));
            out.extend_from_slice(literal);
            rest = after;
        } else {
            let [byte, after @ ..] = after else { break };
            out.extend(std::iter::repeat_n(*byte, 257 - usize::from(*length)));
            rest = after;
        }
    }
    out
}

/// §7.4.4.4: each row begins with a byte that says how it differs from the one before (PNG), or no such byte (TIFF).
fn unpredict(bytes: &[u8], predictor: usize, row: usize, pixel: usize) -> Vec<u8> {
    if row == 0 || pixel == 0 || row > bytes.len().max(1) * 2 {
        return bytes.to_vec();
    }
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    if predictor == 2 {
        for line in bytes.chunks(row) {
            let start = out.len();
            for (nth, byte) in line.iter().enumerate() {
                let left = if nth < pixel { 0 } else { out[start + nth - pixel] };
                out.push(byte.wrapping_add(left));
            }
        }
        return out;
    }
    for line in bytes.chunks(row + 1) {
        let start = out.len();
        for (nth, byte) in line[1..].iter().enumerate() {
            let left = if nth < pixel { 0 } else { out[start + nth - pixel] };
            let up = if start < row { 0 } else { out[start - row + nth] };
            let corner = if start < row || nth < pixel { 0 } else { out[start - row + nth - pixel] };
            let guess = match line[0] {
                1 => left,
                2 => up,
                3 => u8::try_from(u16::midpoint(u16::from(left), u16::from(up))).unwrap_or(0),
                4 => paeth(left, up, corner),
                _ => 0,
            };
            out.push(byte.wrapping_add(guess));
        }
    }
    out
}

/// PNG §9.4
fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(up), i16::from(corner));
    let estimate = a + b - c;
    let (to_a, to_b, to_c) = ((estimate - a).abs(), (estimate - b).abs(), (estimate - c).abs());
    match () {
        () if to_a <= to_b && to_a <= to_c => left,
        () if to_b <= to_c => up,
        () => corner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_decode() {
        assert_eq!(ascii85(b"87cURD]i,\"Ebo80~>"), b"Hello World!");
        assert_eq!(run_length(b"\x02abc\xfed\x80x", 100), b"abcddd");
        // The example of §7.4.4.2
        let packed = [0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01];
        assert_eq!(lzw(&packed, true, 100), [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]);
        assert_eq!(unpredict(&[2, 1, 2, 2, 1, 1], 12, 2, 1), [1, 2, 2, 3]);
        assert_eq!(unpredict(&[1, 1, 1, 4, 1, 1], 15, 2, 1), [1, 2, 2, 3]);
        assert_eq!(unpredict(&[1, 1, 2, 2], 2, 2, 1), [1, 2, 2, 4]);
    }
}
