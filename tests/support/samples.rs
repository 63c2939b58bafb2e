//! The sample campaigns, read by other means than the program's own.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use mail_parser::{Message, MessageParser};

use super::{
    Home, Run, account,
    postfix::{Delivered, Postfix},
};

/// One of the campaigns in `samples/`.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    list: &'static str,
    address_heading: &'static str,
}

/// A person of a sample: the heading and the cell of each column.
pub(crate) struct Person {
    /// As it travels: lower case, the domain as A-labels.
    pub(crate) address: String,
    pub(crate) cells: HashMap<String, String>,
}

pub(crate) const SAMPLES: [Sample; 3] = [
    Sample { name: "investigation-update", list: "recipients.csv", address_heading: "Email" },
    Sample { name: "appointments", list: "patients.csv", address_heading: "E-mail" },
    Sample { name: "notice", list: "members.csv", address_heading: "Kontakt" },
];

impl Sample {
    pub(crate) fn path(&self) -> String {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples").join(self.name);
        path.to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn people(&self) -> Vec<Person> {
        let path = PathBuf::from(self.path()).join(self.list);
        let mut reader = csv::Reader::from_path(path).expect("the list");
        let headings = reader.headers().expect("headings").clone();
        let rows = reader.records().map(|row| row.expect("a row"));
        rows.map(|row| {
            let cells: HashMap<String, String> =
                headings.iter().zip(row.iter()).map(|(h, c)| (h.to_owned(), c.to_owned())).collect();
            let (local, domain) = cells[self.address_heading].split_once('@').expect("an address");
            let address = format!("{local}@{}", idna::domain_to_ascii(domain).expect("a domain")).to_lowercase();
            Person { address, cells }
        })
        .collect()
    }

    /// Sends it through a Postfix; gives what was delivered.
    pub(crate) fn send(&self, postfix: &Postfix, tls: &str, port: u16) -> Vec<Delivered> {
        let home = Home::new();
        home.config(&account(
            port,
            postfix.ca_file(),
            tls,
            &format!("username = \"{}\"\npassword_env = \"SMTP_PASSWORD\"\nconnections = 3\n", postfix.user()),
        ));
        let count = self.people().len();
        let before: HashSet<PathBuf> = postfix.delivered().into_iter().map(|one| one.path).collect();
        let mut command = home.command(&["send", &self.path(), "--account", "work", "--confirm", &count.to_string()]);
        let run =
            Run::of(command.env("SMTP_PASSWORD", postfix.password()).output().expect("the program runs")).ended(0);
        assert!(run.stdout.starts_with(&format!("{count} of {count} messages sent in ")), "{}", run.stdout);
        postfix.wait_for(before.len() + count).into_iter().filter(|one| !before.contains(&one.path)).collect()
    }
}

/// Everything that a mail program could show of a message: headers and all parts, decoded.
pub(crate) fn everything(bytes: &[u8]) -> String {
    let parsed = parse(bytes);
    let mut all = String::from_utf8_lossy(bytes).into_owned();
    for header in parsed.headers() {
        all.push_str(&format!("\n{}: {:?}", header.name(), header.value()));
    }
    for part in 0..10 {
        all.push_str(&parsed.body_text(part).unwrap_or_default());
        all.push_str(&parsed.body_html(part).unwrap_or_default());
    }
    all
}

pub(crate) fn parse(bytes: &[u8]) -> Message<'_> {
    MessageParser::default().parse(bytes).expect("a message that can be parsed")
}
