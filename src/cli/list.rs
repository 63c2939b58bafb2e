//! The flags that say how a recipient list is to be read.

use std::path::PathBuf;

use clap::Args;
use encoding_rs::Encoding;

use super::load::quoted;
use crate::campaign::{ColumnType, Delimiter, Duplicates, Hidden, Limits, ListOptions, encoding};

/// How the list is to be read, each flag as the key of the same name in campaign.toml.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Recipient list")]
pub(super) struct ListArgs {
    /// The heading of the column with the addresses
    #[arg(long, value_name = "HEADING")]
    address: Option<String>,
    /// What the list's text is encoded in, for example windows-1252 [default: UTF-8, or UTF-16 with a byte order mark]
    #[arg(long, value_name = "LABEL", value_parser = encoding)]
    encoding: Option<&'static Encoding>,
    /// What stands between the list's cells: , ; tab or | [default: found from the file]
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<Delimiter>,
    /// The sheet of a workbook [default: the first one that is not hidden]
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// Rows that a sheet hides, for example by a filter: use or skip [default: refuse the list]
    #[arg(long, value_name = "WHAT")]
    hidden: Option<Hidden>,
    /// A column whose cells may be empty although the template shows them; may be given several times
    #[arg(long, value_name = "HEADING")]
    optional: Vec<String>,
    /// A column by whose values a person can be told, which nobody else's message may hold; may be given several times
    #[arg(long, value_name = "HEADING")]
    identifying: Vec<String>,
    /// What a column holds: `yes_no`, number, text, date, or a date's format as in "Visit=date %d.%m.%Y"; may be given
    /// several times
    #[arg(long = "column", value_name = "HEADING=TYPE", value_parser = column)]
    columns: Vec<(String, ColumnType)>,
    /// An address that stands in several rows: refuse the list, or take the first row [default: refuse]
    #[arg(long, value_name = "WHAT", conflicts_with = "group_by")]
    duplicates: Option<Duplicates>,
    /// The heading of the address column, to make one message of all rows of an address
    #[arg(long, value_name = "HEADING")]
    group_by: Option<String>,
    /// Somebody has looked, and the addresses stand in the right rows although they look moved
    #[arg(long)]
    rows_are_right: bool,
    /// Write all bad rows as they are into a new CSV file, with the reasons in a first column "why"
    #[arg(long, value_name = "FILE")]
    pub(super) rejected: Option<PathBuf>,
    /// Largest list, and largest content of a workbook, in MiB [default: 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    max_file_mib: Option<u32>,
    /// Most rows [default: 5000000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    max_rows: Option<u32>,
    /// Most columns [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 14))]
    max_columns: Option<u32>,
    /// Longest cell in bytes [default: 1048576]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    max_cell_bytes: Option<u32>,
}

/// `HEADING=TYPE`
fn column(text: &str) -> Result<(String, ColumnType), String> {
    let (heading, kind) = text.rsplit_once('=').ok_or("this is HEADING=TYPE, for example Consent=yes_no")?;
    Ok((heading.trim().to_owned(), kind.parse().map_err(|why: crate::campaign::ColumnTypeError| why.to_string())?))
}

impl ListArgs {
    pub(super) fn options(&self) -> ListOptions {
        ListOptions {
            address: self.address.clone(),
            encoding: self.encoding,
            delimiter: self.delimiter,
            sheet: self.sheet.clone(),
            hidden: self.hidden,
            optional: self.optional.clone(),
            identifying: self.identifying.clone(),
            columns: vec![self.columns.clone()],
            duplicates: self.duplicates,
            group_by: self.group_by.clone(),
            limits: Limits {
                file_mib: self.max_file_mib,
                rows: self.max_rows,
                columns: self.max_columns,
                cell_bytes: self.max_cell_bytes,
            },
            rows_are_right: self.rows_are_right,
        }
    }

    /// The same flags again, for a command that a person can type.
    pub(super) fn typed(&self) -> Vec<String> {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let single = [
            ("address", self.address.clone()),
            ("encoding", self.encoding.map(|encoding| encoding.name().to_owned())),
            ("delimiter", self.delimiter.map(|delimiter| char::from(delimiter.byte()).to_string())),
            ("sheet", self.sheet.clone()),
            ("hidden", self.hidden.map(|hidden| if hidden == Hidden::Use { "use" } else { "skip" }.to_owned())),
            ("duplicates", self.duplicates.filter(|what| *what == Duplicates::First).map(|_| "first".into())),
            ("group-by", self.group_by.clone()),
            ("max-file-mib", number(self.max_file_mib)),
            ("max-rows", number(self.max_rows)),
            ("max-columns", number(self.max_columns)),
            ("max-cell-bytes", number(self.max_cell_bytes)),
        ];
        let single = single.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let optional = self.optional.iter().map(|heading| ("optional", heading.clone()));
        let identifying = self.identifying.iter().map(|heading| ("identifying", heading.clone()));
        let columns = self.columns.iter().map(|(heading, kind)| ("column", format!("{heading}={kind}")));
        let mut typed: Vec<String> = single
            .chain(optional)
            .chain(identifying)
            .chain(columns)
            .map(|(name, value)| format!("--{name} {}", quoted(&value)))
            .collect();
        if self.rows_are_right {
            typed.push("--rows-are-right".into());
        }
        typed
    }
}
