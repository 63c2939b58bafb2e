//! The bad rows of a list as a file of their own, to be mended in the spreadsheet and given back.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use csv::WriterBuilder;

use super::{
    Columns, Recipient, RecipientList,
    file::{ListFile, WithRows},
    read::Rows,
};
use crate::{
    campaign::ListOptions,
    diagnostic::{Diagnostic, Diagnostics, Place},
};

/// The heading of the column that says why; it is the first one, so that a row with too many cells stays as it was. The
/// second is for lists that have such a column of their own.
const WHY: [&str; 2] = ["why", "why_rejected"];

impl ListFile {
    /// Writes every row that stands in `problems` as it was, with a first column `why`: UTF-8 with a byte order mark,
    /// as spreadsheet programs want it. Where a person of `list` has several rows, a bad one takes the others with it.
    /// Gives the number of rows.
    pub fn write_rejected(
        &self,
        options: &ListOptions,
        problems: &Diagnostics,
        list: Option<&RecipientList>,
        to: &mut dyn Write,
    ) -> io::Result<usize> {
        let mut whys: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for diagnostic in problems.iter().filter(|diagnostic| diagnostic.is_error()) {
            let Place::Row { row, column, .. } = diagnostic.place() else { continue };
            // What comes with evidence is about more than the row.
            if diagnostic.message().contains('\n') {
                continue;
            }
            let why = match column {
                Some(column) => format!("{column}: {}", diagnostic.message()),
                None => diagnostic.message().to_owned(),
            };
            whys.entry(*row).or_default().push(why);
        }
        if let Some(list) = list.filter(|list| list.columns().is_grouped()) {
            for row in whys.keys().copied().collect::<Vec<_>>() {
                let person = list.index_of_row(row).and_then(|index| list.get(index));
                for other in person.into_iter().flat_map(Recipient::rows).filter(|other| other.number() != row) {
                    let why = whys.entry(other.number()).or_default();
                    if why.is_empty() {
                        why.push(format!("row {row} of the same person is wrong"));
                    }
                }
            }
        }
        let rejected = Rejected { whys: &whys, to };
        let mut problems = Diagnostics::default();
        let written = self.rows(options, &mut problems, rejected);
        let unreadable = |one: &Diagnostic| matches!(one.code(), "list.quote" | "list.encoding");
        if written.is_err() || problems.iter().any(unreadable) {
            return Err(io::Error::other("the list cannot be read to its end"));
        }
        written.unwrap_or(Ok(0))
    }
}

struct Rejected<'r> {
    whys: &'r BTreeMap<u64, Vec<String>>,
    to: &'r mut dyn Write,
}

impl WithRows for Rejected<'_> {
    type Output = io::Result<usize>;

    fn with(self, rows: &mut impl Rows) -> io::Result<usize> {
        let mut written = 0;
        self.to.write_all("\u{feff}".as_bytes())?;
        let mut writer = WriterBuilder::new()
            .flexible(true)
            .delimiter(rows.delimiter().unwrap_or(b','))
            .terminator(csv::Terminator::CRLF)
            .from_writer(self.to);
        let mut headings_done = false;
        // A file that was given back has a column of that name already.
        let mut first = 0;
        let mut width = 0;
        while let Some(number) = rows.next() {
            let why = if headings_done {
                let Some(whys) = self.whys.get(&number) else { continue };
                written += 1;
                whys.join("; ")
            } else if rows.filled() > 0 {
                headings_done = true;
                first = usize::from(WHY.contains(&rows.cell(0)));
                width = rows.len();
                let own = rows.cells().skip(first).any(|heading| Columns::name_for(heading) == WHY[0]);
                WHY[usize::from(own)].to_owned()
            } else {
                continue;
            };
            // A sheet does not say how wide it is; as text each row must be as wide as the headings.
            let missing = if rows.delimiter().is_none() { width.saturating_sub(rows.len()) } else { 0 };
            let cells = rows.cells().skip(first).chain(std::iter::repeat_n("", missing));
            writer.write_record(std::iter::once(why.as_str()).chain(cells))?;
        }
        writer.flush()?;
        Ok(written)
    }
}
