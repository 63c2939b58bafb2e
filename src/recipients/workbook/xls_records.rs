//! The records of old Excel workbooks ([MS-XLS] §2.1.4), and the texts that may go on in the next record.

use super::WorkbookProblem;

/// Numbers of the records that are read ([MS-XLS] §2.3.1).
pub(super) mod kind {
    pub(in super::super) const FORMULA: u16 = 0x0006;
    pub(in super::super) const EOF: u16 = 0x000a;
    pub(in super::super) const DATE_1904: u16 = 0x0022;
    pub(in super::super) const FILE_PASS: u16 = 0x002f;
    pub(in super::super) const CONTINUE: u16 = 0x003c;
    pub(in super::super) const COL_INFO: u16 = 0x007d;
    pub(in super::super) const BOUND_SHEET: u16 = 0x0085;
    pub(in super::super) const MUL_RK: u16 = 0x00bd;
    pub(in super::super) const RICH_STRING: u16 = 0x00d6;
    pub(in super::super) const XF: u16 = 0x00e0;
    pub(in super::super) const MERGE_CELLS: u16 = 0x00e5;
    pub(in super::super) const SST: u16 = 0x00fc;
    pub(in super::super) const LABEL_SST: u16 = 0x00fd;
    pub(in super::super) const NUMBER: u16 = 0x0203;
    pub(in super::super) const LABEL: u16 = 0x0204;
    pub(in super::super) const BOOL_ERR: u16 = 0x0205;
    pub(in super::super) const STRING: u16 = 0x0207;
    pub(in super::super) const ROW: u16 = 0x0208;
    pub(in super::super) const RK: u16 = 0x027e;
    pub(in super::super) const FORMAT: u16 = 0x041e;
    pub(in super::super) const BOF: u16 = 0x0809;
}

/// One record without those that continue it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'s> {
    pub(super) kind: u16,
    pub(super) data: &'s [u8],
    /// What follows it in the stream.
    rest: &'s [u8],
}

/// The records from a place of the stream on, to the end of what is whole.
pub(super) fn records(stream: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = stream;
    std::iter::from_fn(move || {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        let size = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let (data, tail) = tail.split_at_checked(size)?;
        rest = tail;
        Some(Record { kind: u16::from_le_bytes([head[0], head[1]]), data, rest })
    })
}

impl<'s> Record<'s> {
    pub(super) fn u16(&self, at: usize) -> Result<u16, WorkbookProblem> {
        self.bytes(at).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&self, at: usize) -> Result<u32, WorkbookProblem> {
        self.bytes(at).map(u32::from_le_bytes)
    }

    pub(super) fn bytes<const N: usize>(&self, at: usize) -> Result<[u8; N], WorkbookProblem> {
        self.data.get(at..).and_then(|data| data.first_chunk()).copied().ok_or_else(short)
    }

    /// Its data from `at` on, and those of the records that continue it.
    pub(super) fn pieces(&self, at: usize) -> Result<Pieces<'s>, WorkbookProblem> {
        Ok(Pieces { piece: self.data.get(at..).ok_or_else(short)?, rest: self.rest })
    }
}

/// The data of a record and its continuations.
pub(super) struct Pieces<'s> {
    piece: &'s [u8],
    rest: &'s [u8],
}

impl Pieces<'_> {
    /// Goes to the next piece.
    fn turn(&mut self) -> Result<(), WorkbookProblem> {
        let next = records(self.rest).next().filter(|record| record.kind == kind::CONTINUE).ok_or_else(short)?;
        (self.piece, self.rest) = (next.data, next.rest);
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, WorkbookProblem> {
        while self.piece.is_empty() {
            self.turn()?;
        }
        let (first, rest) = self.piece.split_first().ok_or_else(short)?;
        self.piece = rest;
        Ok(*first)
    }

    pub(super) fn u16(&mut self) -> Result<u16, WorkbookProblem> {
        Ok(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, WorkbookProblem> {
        Ok(u32::from(self.u16()?) | u32::from(self.u16()?) << 16)
    }

    fn skip(&mut self, mut bytes: usize) -> Result<(), WorkbookProblem> {
        while bytes > self.piece.len() {
            bytes -= self.piece.len();
            self.turn()?;
        }
        self.piece = &self.piece[bytes..];
        Ok(())
    }

    /// A text with a length of one byte ([MS-XLS] §2.5.240).
    pub(super) fn short_text(&mut self) -> Result<String, WorkbookProblem> {
        let length = self.byte()?;
        let flags = self.byte()?;
        self.characters(usize::from(length), flags)
    }

    /// A text with a length of two bytes, and what may follow it: looks, and how it is read aloud ([MS-XLS] §2.5.293).
    pub(super) fn text(&mut self) -> Result<String, WorkbookProblem> {
        let length = self.u16()?;
        let flags = self.byte()?;
        let runs = if flags & 0x08 == 0 { 0 } else { usize::from(self.u16()?) };
        let aloud = if flags & 0x04 == 0 { 0 } else { self.u32()? as usize };
        let text = self.characters(usize::from(length), flags)?;
        self.skip(runs * 4)?;
        self.skip(aloud)?;
        Ok(text)
    }

    /// Characters of one byte or two, which a continuation decides anew.
    fn characters(&mut self, length: usize, flags: u8) -> Result<String, WorkbookProblem> {
        let mut wide = flags & 1 != 0;
        let mut units: Vec<u16> = Vec::new();
        while units.len() < length {
            if self.piece.is_empty() {
                self.turn()?;
                wide = self.byte()? & 1 != 0;
            }
            let left = length - units.len();
            if wide {
                let whole = left.min(self.piece.len() / 2) * 2;
                if whole == 0 {
                    return Err(short());
                }
                let (now, later) = self.piece.split_at(whole);
                units.extend(now.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])));
                self.piece = later;
            } else {
                let (now, later) = self.piece.split_at(left.min(self.piece.len()));
                units.extend(now.iter().copied().map(u16::from));
                self.piece = later;
            }
        }
        Ok(String::from_utf16_lossy(&units))
    }
}

fn short() -> WorkbookProblem {
    WorkbookProblem::damaged("one of its records is cut short")
}
