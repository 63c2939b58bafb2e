//! The text part of a message, made from Markdown or HTML: one writer for both.
//!
//! Lines are wrapped, but for code and tables; words never are, and so no address is.

mod wrap;

use unicode_width::UnicodeWidthStr;

use self::wrap::SPACES;
pub(crate) use self::wrap::wrapped;

/// Lines have at most so many columns (RFC 5322 §2.1.1 advises 78).
const MOST_COLUMNS: usize = 78;

/// Writes blocks of text one below the other.
#[derive(Default)]
pub(super) struct Writer {
    text: String,
    /// The line being written, as long as it may be.
    line: String,
    /// What stands before every line: quotation marks and indentation.
    prefix: Vec<String>,
    /// A blank line is due before the next block.
    gap: bool,
    /// Nothing was written yet behind the present prefix.
    is_fresh: bool,
    /// The number of the next item of each list being written; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// The mark of the item that has just begun, for its first line.
    mark: Option<String>,
    /// The links being written.
    links: Vec<Link>,
    table: Option<Table>,
    code: bool,
}

/// A link whose text is being written.
struct Link {
    target: String,
    shown: String,
}

/// A table of which each row is one line.
struct Table {
    rows: Vec<Vec<String>>,
    /// Whether there is a rule below the first row
    ruled: bool,
    wide: Wide,
}

/// What becomes of a table that is wider than a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wide {
    /// It stays one.
    Kept,
    /// Its cells stand one below the other: it may be there for the looks alone.
    TakenApart,
}

/// A link's target as people write it: an address without its scheme, if it is nothing but an address. White space
/// would end it.
pub(super) fn bare(target: &str) -> String {
    let target = target.trim();
    let address = target.strip_prefix("mailto:").or(target.strip_prefix("tel:"));
    address.filter(|address| !address.contains('?')).unwrap_or(target).replace(' ', "%20").replace(['\t', '\n'], "")
}

impl Writer {
    /// What was written; it ends with a line end.
    pub(super) fn finish(mut self) -> String {
        self.end_line();
        self.text.trim_matches('\n').to_owned() + "\n"
    }

    /// Text without line breaks.
    pub(super) fn push(&mut self, text: &str) {
        self.line.push_str(text);
        self.add_to_link(text);
    }

    fn add_to_link(&mut self, text: &str) {
        if let Some(link) = self.links.last_mut() {
            link.shown.push_str(text);
        }
    }

    /// How much was written.
    pub(super) fn written(&self) -> usize {
        self.text.len() + self.line.len()
    }

    /// Whether a blank line is due.
    pub(super) fn is_between_blocks(&self) -> bool {
        self.gap && self.line.is_empty()
    }

    /// Whether something stands on the line already.
    pub(super) fn is_within_line(&self) -> bool {
        !self.line.is_empty()
    }

    /// A line break that the reader is to see.
    pub(super) fn hard_break(&mut self) {
        // Within a table a cell is one line.
        if self.table.is_some() {
            self.push(" ");
        } else {
            self.flush();
            self.add_to_link(" ");
        }
    }

    /// A line break that is there for the author alone. It stays, unless the line is too long: then its words flow on
    /// into the next one.
    pub(super) fn soft_break(&mut self) {
        let lines = wrapped(&self.line, self.room());
        if self.table.is_some() || self.code || lines.len() == 1 {
            self.hard_break();
            return;
        }
        let rest = lines.last().map_or(0, |last| self.line.len() - last.len());
        let rest = self.line.split_off(rest);
        self.flush();
        self.line = rest.trim_end_matches(SPACES).to_owned() + " ";
        self.add_to_link(" ");
    }

    /// Begins a block that has a blank line before it.
    pub(super) fn block(&mut self) {
        self.end_line();
        if self.mark.is_none() {
            self.open_gap();
        }
    }

    /// Ends it.
    pub(super) fn end_block(&mut self) {
        self.end_line();
        self.gap = true;
    }

    /// Begins what may become a block: there is a blank line if something follows, and something was there before.
    pub(super) fn begin(&mut self) {
        self.end_line();
        self.gap |= !self.is_fresh;
    }

    /// Ends a heading with a line of such characters below it.
    pub(super) fn end_heading(&mut self, underline: &str) {
        let lines = wrapped(&self.line, self.room());
        let width = lines.iter().map(|line| line.trim_end().width()).max().unwrap_or(0);
        self.end_line();
        self.line = underline.repeat(width.min(MOST_COLUMNS));
        self.end_block();
    }

    /// A line across.
    pub(super) fn rule(&mut self) {
        self.block();
        self.line.push_str("----");
        self.end_block();
    }

    /// Puts something before every line.
    pub(super) fn indent(&mut self, prefix: &str) {
        self.prefix.push(prefix.to_owned());
        self.is_fresh = true;
    }

    /// And no more.
    pub(super) fn unindent(&mut self) {
        self.end_line();
        self.prefix.pop();
    }

    /// Begins a list, numbered from `first` or with bullets.
    pub(super) fn list(&mut self, first: Option<u64>) {
        self.end_line();
        if self.lists.is_empty() {
            self.block();
        }
        self.lists.push(first);
    }

    /// Ends it.
    pub(super) fn end_list(&mut self) {
        self.end_line();
        self.lists.pop();
        self.gap = self.lists.is_empty();
    }

    /// Begins an item of a list.
    pub(super) fn item(&mut self) {
        self.end_line();
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", *number - 1)
            }
            _ => "- ".into(),
        };
        self.open_gap();
        self.prefix.push(" ".repeat(mark.len()));
        self.mark = Some(mark);
        self.is_fresh = true;
    }

    /// Ends it; an empty one still shows its mark.
    pub(super) fn end_item(&mut self) {
        if self.mark.is_some() {
            self.flush();
        }
        self.unindent();
    }

    /// Begins lines that are written as they are.
    pub(super) fn code(&mut self) {
        self.end_line();
        self.code = true;
    }

    /// Ends them.
    pub(super) fn end_code(&mut self) {
        self.end_line();
        self.code = false;
    }

    /// A stretch of them.
    pub(super) fn push_code(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            self.push(line.trim_end_matches('\n'));
            if line.ends_with('\n') {
                self.flush();
            }
        }
    }

    /// Begins a link.
    pub(super) fn link(&mut self, target: &str) {
        self.links.push(Link { target: bare(target), shown: String::new() });
    }

    /// Says where it went, unless its text did.
    pub(super) fn end_link(&mut self) {
        let Some(Link { target, shown }) = self.links.pop() else { return };
        self.add_to_link(&shown);
        let said = shown.trim() == target || shown.trim().strip_prefix("mailto:") == Some(&target);
        if !said && !target.is_empty() && !target.starts_with('#') {
            let between = if self.line.is_empty() || self.line.ends_with(SPACES) { "" } else { " " };
            self.line.push_str(&format!("{between}<{target}>"));
        }
    }

    /// Begins a table.
    pub(super) fn begin_table(&mut self, wide: Wide) {
        self.take_apart();
        self.block();
        self.table = Some(Table { rows: Vec::new(), ruled: false, wide });
    }

    /// Whether a table is being written whose rows are lines.
    pub(super) fn is_in_table(&self) -> bool {
        self.table.is_some()
    }

    /// Begins a row.
    pub(super) fn row(&mut self) {
        if let Some(table) = &mut self.table {
            table.rows.push(Vec::new());
        }
    }

    /// The row was one of headings.
    pub(super) fn end_heading_row(&mut self) {
        if let Some(table) = &mut self.table {
            table.ruled |= table.rows.len() == 1;
        }
    }

    /// Ends a cell.
    pub(super) fn end_cell(&mut self) {
        match &mut self.table {
            Some(table) => {
                let cell = std::mem::take(&mut self.line);
                if table.rows.is_empty() {
                    table.rows.push(Vec::new());
                }
                if let Some(row) = table.rows.last_mut() {
                    row.push(cell.trim().to_owned());
                }
            }
            None => self.end_line(),
        }
    }

    /// Writes the table.
    pub(super) fn end_table(&mut self) {
        let Some(table) = &self.table else {
            self.end_block();
            return;
        };
        let columns = table.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width_of = |nth: usize| table.rows.iter().filter_map(|row| row.get(nth)).map(|cell| cell.width()).max();
        let widths: Vec<usize> = (0..columns).map(|nth| width_of(nth).unwrap_or(0)).collect();
        let columns = widths.iter().filter(|width| **width > 0).count();
        let width = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
        if table.wide == Wide::TakenApart && (columns < 2 || width > self.room()) {
            self.take_apart();
            return;
        }
        let Some(table) = self.table.take() else { return };
        self.code = true;
        for (nth, row) in table.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, full) in row.iter().zip(&widths).filter(|(_, full)| **full > 0) {
                line.push_str(cell);
                line.push_str(&" ".repeat(full - cell.width() + 2));
            }
            line.truncate(line.trim_end_matches(' ').len());
            self.line = line;
            self.end_line();
            if nth == 0 && table.ruled {
                let rule: Vec<String> = widths.iter().filter(|full| **full > 0).map(|full| "-".repeat(*full)).collect();
                self.line = rule.join("  ");
                self.end_line();
            }
        }
        self.code = false;
        self.gap = true;
    }

    /// Makes blocks of the cells of a table that has something in it that is no line.
    pub(super) fn take_apart(&mut self) {
        let Some(table) = self.table.take() else { return };
        let line = std::mem::take(&mut self.line);
        for row in table.rows {
            for cell in row.into_iter().filter(|cell| !cell.is_empty()) {
                self.block();
                self.line = cell;
                self.end_line();
            }
            self.gap = true;
        }
        if !line.trim().is_empty() {
            self.block();
        }
        self.line = line;
    }

    fn open_gap(&mut self) {
        if std::mem::take(&mut self.gap) && !self.text.is_empty() {
            let prefix = self.prefix.concat();
            self.text.push_str(prefix.trim_end());
            self.text.push('\n');
        }
    }

    /// Writes the line, if anything is on it.
    pub(super) fn end_line(&mut self) {
        if self.line.trim().is_empty() && !self.code {
            self.line.clear();
        } else if !self.line.is_empty() {
            self.flush();
        }
    }

    /// How many columns a line has behind its prefix.
    fn room(&self) -> usize {
        MOST_COLUMNS.saturating_sub(self.prefix.iter().map(|prefix| prefix.width()).sum())
    }

    /// Writes the line, even if nothing is on it.
    fn flush(&mut self) {
        self.is_fresh = false;
        let line = std::mem::take(&mut self.line);
        let lines = if self.code { vec![line.as_str()] } else { wrapped(&line, self.room()) };
        for part in lines {
            let mut prefix = self.prefix.concat();
            if let Some(mark) = self.mark.take() {
                prefix.truncate(prefix.len() - mark.len());
                prefix.push_str(&mark);
            }
            let part = if self.code { part } else { part.trim_end_matches(SPACES) };
            // What mail programs take for the beginning of a signature (RFC 3676 §4.3); Markdown drops its space.
            let part = if prefix.is_empty() && part == "--" && !self.code { "-- " } else { part };
            self.text.push_str(if part.is_empty() { prefix.trim_end() } else { &prefix });
            self.text.push_str(part);
            self.text.push('\n');
        }
    }
}
