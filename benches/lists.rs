//! Loading a list of 1,000,000 people, beside the loop that anybody would write.
//!
//! `cargo bench --bench lists` makes a list of 4 columns (about 70 MB) and reads it in three ways, each in a process of
//! its own, several times in turn:
//!
//! * floor: the csv crate's `ByteRecord`s, counted and thrown away;
//! * plain: `StringRecord`s that are kept, `lettre::Address` for each, a `HashMap` of lower-cased addresses;
//! * apiece: [`RecipientList::read`], with every check that it makes.
//!
//! It prints the medians of time and peak memory, and the ratios of apiece to plain. `ROWS=100000` makes it shorter.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]

mod memory;

use std::{
    collections::HashMap,
    fs::File,
    hint::black_box,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use apiece::{campaign::ListOptions, recipients::RecipientList};

const WAYS: [&str; 3] = ["floor", "plain", "apiece"];
const TURNS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, way, list] = arguments.as_slice()
        && WAYS.contains(&way.as_str())
    {
        let start = Instant::now();
        let people = read(way, Path::new(list));
        println!("{people} {} {}", start.elapsed().as_micros(), memory::kib("VmHWM"));
        return;
    }
    let rows = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000_usize);
    let directory = tempfile::tempdir().unwrap();
    let list = write_list(directory.path(), rows);
    println!("{rows} rows of 4 columns, {} MB", std::fs::metadata(&list).unwrap().len() / 1_000_000);
    let mut results: HashMap<&str, Vec<(f64, f64)>> = HashMap::new();
    for _ in 0..TURNS {
        for way in WAYS {
            let output = Command::new(std::env::current_exe().unwrap()).arg(way).arg(&list).output().unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            let numbers: Vec<f64> = output.split_whitespace().map(|number| number.parse().unwrap()).collect();
            assert!(output.starts_with(&format!("{rows} ")), "{way}: {output}");
            results.entry(way).or_default().push((numbers[1] / 1e6, numbers[2] / 1024.0));
        }
    }
    println!("{:8}  {:>8}  {:>12}", "", "time", "peak memory");
    for way in WAYS {
        let (time, memory) = medians(&results[way]);
        println!("{way:8}  {time:>6.2} s  {memory:>8.0} MiB");
    }
    let (ours, plain) = (medians(&results["apiece"]), medians(&results["plain"]));
    println!("apiece / plain: time {:.2}, memory {:.2}", ours.0 / plain.0, ours.1 / plain.1);
}

fn read(way: &str, list: &Path) -> usize {
    match way {
        "floor" => {
            let mut reader = csv::Reader::from_path(list).unwrap();
            let mut record = csv::ByteRecord::new();
            let mut rows = 0;
            while reader.read_byte_record(&mut record).unwrap() {
                rows += usize::from(!black_box(&record).is_empty());
            }
            rows
        }
        "plain" => {
            let mut reader = csv::Reader::from_path(list).unwrap();
            let column = reader.headers().unwrap().iter().position(|heading| heading == "E-Mail").unwrap();
            let mut seen: HashMap<String, usize> = HashMap::new();
            let mut kept: Vec<(csv::StringRecord, lettre::Address)> = Vec::new();
            for record in reader.records() {
                let record = record.unwrap();
                let address: lettre::Address = record[column].trim().parse().unwrap();
                assert!(seen.insert(record[column].to_lowercase(), kept.len()).is_none());
                kept.push((record, address));
            }
            black_box(&kept).len()
        }
        _ => black_box(RecipientList::read(list, &ListOptions::default()).unwrap()).len(),
    }
}

fn medians(results: &[(f64, f64)]) -> (f64, f64) {
    let median = |mut numbers: Vec<f64>| {
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    };
    (median(results.iter().map(|one| one.0).collect()), median(results.iter().map(|one| one.1).collect()))
}

/// Made-up people; most addresses show their names, as real ones do.
fn write_list(directory: &Path, rows: usize) -> PathBuf {
    let first =
        ["Ada", "Björn", "Chiara", "Dmitri", "Élodie", "Femi", "Grace", "Hans", "Imani", "Jürgen", "Kofi", "Layla"];
    let last =
        ["Abbott", "Brandt", "Castillo", "Dubois", "Eriksen", "Fischer", "Greenwood", "Haddad", "Ivanova", "Jensen"];
    let plain = |name: &str| name.chars().filter(char::is_ascii).collect::<String>().to_lowercase();
    let path = directory.join("people.csv");
    let mut out = BufWriter::new(File::create(&path).unwrap());
    out.write_all(b"Name,E-Mail,Case ref,Office\r\n").unwrap();
    for nth in 0..rows {
        let (first, last) = (first[nth % first.len()], last[nth / 7 % last.len()]);
        let local = match nth % 4 {
            0 => format!("{}.{}{nth}", plain(first), plain(last)),
            1 => format!("{}{nth}", plain(last)),
            2 => format!("{}_{nth}", plain(first)),
            _ => format!("user{nth}"),
        };
        write!(out, "{first} {last},{local}@mail{}.example,OE-{nth:08},Office {}\r\n", nth % 97, nth % 31).unwrap();
    }
    out.into_inner().unwrap();
    path
}
