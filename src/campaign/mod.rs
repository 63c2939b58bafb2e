//! `campaign.toml`, the user's accounts and the flags become one checked [`Campaign`].
//!
//! A campaign is one template mailed to one recipient list: a directory with a `campaign.toml`, or the two
//! files themselves.

mod account;
pub(crate) mod approval;
pub(crate) mod column_type;
mod dkim;
mod domains;
mod expect;
mod guard;
mod holidays;
mod hours;
pub(crate) mod keys;
mod list;
mod login;
mod moment;
mod notify;
mod oauth;
mod preset;
mod proxy;
mod rate;
mod record;
mod recurring;
mod retry;
mod size;
mod source;
mod when;
mod window;
mod written;

#[cfg(unix)]
use std::os::unix::fs::FileTypeExt;
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

pub use account::{Account, Accounts, ClientIdentity, Named, Tls};
pub use approval::ApprovalOptions;
pub use column_type::{ColumnType, ColumnTypeError};
pub use dkim::Dkim;
pub use domains::DomainLimit;
pub use expect::{Between, BetweenError, Empty, Expect, NoAnswer, Percent, PercentError, Unchanged};
pub use guard::{GuardOptions, OpaqueAttachments};
pub use holidays::Holidays;
pub use hours::{Hours, Phase, until};
pub use list::{Delimiter, DelimiterError, Duplicates, Hidden, Limits, ListOptions, encoding};
pub use login::{Login, LoginSecret, Mechanism};
pub use moment::{Moment, MomentError};
pub use notify::{NotifyOn, NotifyOptions};
pub use oauth::{Issuer, OAuth, TokenPlace};
pub use preset::Preset;
pub use proxy::{Proxy, Scheme};
pub use rate::{Rate, RateError};
pub use record::{RecordOptions, RecordPassword, is_database};
pub use recurring::Recurring;
pub use retry::{Retry, Time, TimeError};
pub use size::{Size, SizeError};
pub use source::{FromOutbox, ListSource, ListSourceError};
pub use when::When;
pub use window::{Window, WindowError};

use jiff::tz::TimeZone;

use self::keys::{At, Keys};
use crate::diagnostic::{Bare, Complaint, Diagnostic, Diagnostics, Place, Source};

/// The name of the file that makes a directory a campaign.
pub const CAMPAIGN_FILE: &str = "campaign.toml";

/// Settings larger than this are none.
const MOST_SETTINGS_BYTES: u64 = 1 << 20;

/// Labels are a few words.
const MOST_LABEL: usize = 100;

/// One template mailed to one recipient list, as checked settings; nothing is read yet.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// What it is called: as its settings say, or else the directory's name, or the template's without its endings.
    pub name: String,
    /// Whether its settings say so.
    pub is_named: bool,
    /// The template's file.
    pub template: PathBuf,
    /// Where the recipient list is.
    pub recipients: ListSource,
    /// The account to send through.
    pub account: Option<String>,
    /// What kind of data it is about, such as "special category", in the words of whoever answers for it.
    pub sensitivity: Option<String>,
    /// Whose data it is, such as "victims" or "patients".
    pub people: Option<String>,
    /// How the list is to be read, as far as it is said.
    pub list: ListOptions,
    /// What the guard is told.
    pub guard: GuardOptions,
    /// Rates of this campaign, besides the account's.
    pub rates: Vec<Rate>,
    /// Fewer connections than the account allows.
    pub connections: Option<usize>,
    /// What may go to some domains, besides what the account says of them.
    pub domains: Vec<DomainLimit>,
    /// Who must have approved it before it is sent.
    pub approval: Option<ApprovalOptions>,
    /// Who is told when a run is over.
    pub notify: NotifyOptions,
    /// What is done about messages that the server puts off.
    pub retry: Retry,
    /// Whether messages go evenly over the time that the rates give, and not as soon as these permit.
    pub spread: Option<bool>,
    /// How long before the first message leaves it can still be stopped.
    pub hold: Option<Time>,
    /// What a message may have at most.
    pub max_message_size: Option<Size>,
    /// When it may be sent.
    pub when: When,
    /// What is expected of its list.
    pub expect: Expect,
    /// What a message is of, if it is sent again and again.
    pub recurring: Option<Recurring>,
}

/// What the command line says; it has the last word.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--template`
    pub template: Option<PathBuf>,
    /// `--recipients`
    pub recipients: Option<PathBuf>,
    /// `--account`
    pub account: Option<String>,
    /// `--address`, `--encoding`, `--delimiter`
    pub list: ListOptions,
    /// `--rate`, in place of the campaign's rates
    pub rates: Vec<Rate>,
    /// `--connections`
    pub connections: Option<usize>,
    /// `--retry-after`, `--tries`, `--give-up-after`, `--pause-after`
    pub retry: Retry,
    /// `--spread`
    pub spread: Option<bool>,
    /// `--hold`
    pub hold: Option<Time>,
    /// `--common`
    pub guard: GuardOptions,
    /// `--max-message-size`
    pub max_message_size: Option<Size>,
    /// `--not-before`, `--not-after`, `--window`, `--holidays`
    pub when: When,
    /// `--at`: what recurs is of the day on which it is sent
    pub at: Option<Moment>,
    /// `--max-recipients`, `--max-change`, `--if-unchanged`, `--if-empty`
    pub expect: Expect,
}

/// A file that cannot be read.
#[derive(Debug)]
enum Unreadable {
    Io(io::Error),
    TooLarge(u64),
    #[cfg(unix)]
    Pipe,
    NotText,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(why) if why.kind() == io::ErrorKind::NotFound => f.write_str("there is no such file"),
            Self::Io(why) => write!(f, "this cannot be read: {why}"),
            Self::TooLarge(most) => write!(f, "this is larger than {} MiB", most >> 20),
            #[cfg(unix)]
            Self::Pipe => f.write_str("this is a pipe and no file"),
            Self::NotText => f.write_str("this is not UTF-8 text"),
        }
    }
}

/// The content of a file, of which there must not be more than `most` bytes.
pub(crate) fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, Diagnostics> {
    let refused = |why| Diagnostics::from(Diagnostic::error(Place::File(path.into()), &why));
    let mut bytes = Vec::new();
    #[cfg(unix)]
    if std::fs::metadata(path).is_ok_and(|data| data.file_type().is_fifo()) && !path.starts_with("/dev/fd") {
        // It may have nobody who writes.
        return Err(refused(Unreadable::Pipe));
    }
    File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
        .map_err(|why| unreadable(path, why))?;
    if bytes.len() as u64 > most {
        return Err(refused(Unreadable::TooLarge(most)));
    }
    Ok(bytes)
}

/// The same as text.
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String, Diagnostics> {
    as_text(path, read_bytes(path, most)?)
}

/// What was read from a file, as text.
pub(crate) fn as_text(path: &Path, bytes: Vec<u8>) -> Result<String, Diagnostics> {
    let not_text = |_| Diagnostic::error(Place::File(path.into()), &Unreadable::NotText).into();
    String::from_utf8(bytes).map_err(not_text)
}

/// That a file cannot be read.
pub(crate) fn unreadable(path: &Path, why: io::Error) -> Diagnostics {
    Diagnostic::error(Place::File(path.into()), &Unreadable::Io(why)).into()
}

impl Complaint for Unreadable {
    fn code(&self) -> &'static str {
        "file.unreadable"
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

#[derive(Debug)]
enum NotACampaign {
    NoCampaignFile,
    ListMissing,
    ListFirst,
    TwoLists,
}

impl fmt::Display for NotACampaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCampaignFile => "there is no campaign.toml in this directory",
            Self::ListMissing => "a template needs a recipient list",
            Self::ListFirst => "the template comes first, and then the list",
            Self::TwoLists => "a directory has its recipient list in campaign.toml, and a second list is given",
        })
    }
}

impl Complaint for NotACampaign {
    fn code(&self) -> &'static str {
        "campaign.incomplete"
    }

    fn help(&self) -> Option<String> {
        Some(
            match self {
                Self::NoCampaignFile => "apiece init DIR makes a campaign to start from",
                Self::ListMissing | Self::ListFirst => "give both: apiece send update.md.hbs people.csv",
                Self::TwoLists => "use --recipients FILE to send the same campaign to another list",
            }
            .into(),
        )
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

impl Campaign {
    /// From what stands on the command line: a directory, or a template and a list.
    pub fn load(campaign: &Path, list: Option<&Path>, overrides: Overrides) -> Result<Self, Diagnostics> {
        let complaint = |problem| Err(Diagnostic::error(Place::File(campaign.into()), &problem).into());
        if campaign.is_dir() {
            if list.is_some() {
                return complaint(NotACampaign::TwoLists);
            }
            let file = campaign.join(CAMPAIGN_FILE);
            if !file.exists() {
                return complaint(NotACampaign::NoCampaignFile);
            }
            return Self::parse(&file, &read_text(&file, MOST_SETTINGS_BYTES)?, overrides);
        }
        if campaign.file_name().is_some_and(|name| name == CAMPAIGN_FILE) && list.is_none() {
            return Self::load(campaign.parent().unwrap_or(Path::new("")).join(".").as_path(), None, overrides);
        }
        if let Err(error) = std::fs::metadata(campaign) {
            return Err(Diagnostic::error(Place::File(campaign.into()), &Unreadable::Io(error)).into());
        }
        let ends = |path: &Path, ending: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
        if ends(campaign, "csv") && list.is_some_and(|list| ends(list, "hbs")) {
            return complaint(NotACampaign::ListFirst);
        }
        let Some(list) = overrides.recipients.clone().or(list.map(Path::to_owned)) else {
            return complaint(NotACampaign::ListMissing);
        };
        let list = ListSource::within(Path::new(""), &list);
        let list = list.map_err(|why| Diagnostics::from(Diagnostic::error(Place::Nowhere, &why)))?;
        Ok(Self {
            name: name_of(campaign),
            is_named: false,
            template: overrides.template.unwrap_or_else(|| campaign.to_owned()),
            recipients: list,
            account: overrides.account,
            sensitivity: None,
            people: None,
            list: overrides.list,
            guard: overrides.guard,
            rates: overrides.rates,
            connections: overrides.connections,
            domains: Vec::new(),
            approval: None,
            notify: NotifyOptions::default(),
            retry: overrides.retry,
            spread: overrides.spread,
            hold: overrides.hold,
            max_message_size: overrides.max_message_size,
            when: overrides.when.settled(&TimeZone::system())?,
            expect: overrides.expect,
            recurring: None,
        })
    }

    /// From the text of a `campaign.toml`; `file` is where it is from, and paths in it start there.
    pub fn parse(file: &Path, text: &str, overrides: Overrides) -> Result<Self, Diagnostics> {
        let source = Source::new(file.display().to_string(), text);
        let mut keys = Keys::parse(&source, source.text(), 0)?;
        let directory = file.parent().unwrap_or(Path::new(""));
        let missing: Vec<&str> =
            ["template", "recipients"].into_iter().filter(|key| keys.span_of(key).is_none()).collect();
        let template = keys.string("template");
        let recipients = keys.string("recipients");
        let account = keys.string("account").map(|account| account.value);
        let [said_name, sensitivity, people] = ["name", "sensitivity", "people"].map(|key| label(&mut keys, key));
        let recurring = recurring::read(&mut keys);
        let list = list::read(&mut keys);
        let (guard, identifying) = guard::read(&mut keys);
        let list = ListOptions { identifying, ..list };
        let domains = domains::read(&mut keys);
        let approval = approval::read(&mut keys, directory);
        let notify = notify::read(&mut keys);
        let (mut rates, mut connections, mut size) = (Vec::new(), None, None);
        let (mut patience, mut spread, mut hold) = (Retry::default(), None, None);
        let (mut when, mut expect) = (When::default(), Expect::default());
        if let Some(mut send) = keys.table("send") {
            rates = account::read_rates(&mut send);
            connections = send.integer("connections", 1, 1000).map(|number| number.value as usize);
            patience = retry::read(&mut send);
            spread = send.boolean("spread").map(|spread| spread.value);
            hold = send.parsed("hold").map(|hold| hold.value);
            size = send.parsed("max_message_size").map(|size| size.value);
            when = when::read(&mut send, directory);
            expect = expect::read(&mut send);
            keys.adopt(send.finish());
        }
        let (template_flag, list_flag) = (overrides.template, overrides.recipients);
        for (key, flag) in [("template", &template_flag), ("recipients", &list_flag)] {
            if flag.is_none() && missing.contains(&key) {
                keys.missing(key);
            }
        }
        let template = template_flag.or_else(|| Some(directory.join(template?.value)));
        let recipients = match (list_flag, recipients) {
            (Some(flag), _) => {
                let flag = ListSource::within(Path::new(""), &flag);
                Some(flag.map_err(|why| Diagnostics::from(Diagnostic::error(Place::Nowhere, &why)))?)
            }
            (None, Some(At { value, span })) => {
                let source = ListSource::within(directory, Path::new(&value));
                source.map_err(|why| keys.report(span, &why)).ok()
            }
            (None, None) => None,
        };
        let canonical = std::path::absolute(directory).ok();
        let own_name = canonical.as_deref().and_then(Path::file_name);
        let own_name = || own_name.map_or("campaign".into(), |name| one_line(&name.to_string_lossy()));
        let when = overrides.when.or(when).settled(&TimeZone::system());
        let when = when.map_err(|wrong| keys.adopt(wrong)).ok();
        let campaign = template.zip(recipients).map(|(template, recipients)| Self {
            is_named: said_name.is_some(),
            name: said_name.unwrap_or_else(own_name),
            template,
            recipients,
            account: overrides.account.or(account),
            sensitivity,
            people,
            list: overrides.list.or(list),
            guard: overrides.guard.or(guard),
            rates: if overrides.rates.is_empty() { rates } else { overrides.rates },
            connections: overrides.connections.or(connections),
            domains,
            approval,
            notify,
            retry: overrides.retry.or(patience),
            spread: overrides.spread.or(spread),
            hold: overrides.hold.or(hold),
            max_message_size: overrides.max_message_size.or(size),
            when: when.unwrap_or_default(),
            expect: overrides.expect.or(expect),
            recurring,
        });
        keys.finish().sorted().checked(campaign)
    }
}

/// A few words that stand in reports and policies.
fn label(keys: &mut Keys<'_>, key: &'static str) -> Option<String> {
    let At { value, span } = keys.string(key)?;
    let label = value.trim();
    if label.is_empty() || label.chars().count() > MOST_LABEL || label.chars().any(char::is_control) {
        let example = match key {
            "name" => "name = \"reminders\"",
            _ => "sensitivity = \"special category\", people = \"patients\"",
        };
        let help = Some(format!("for example {example}"));
        keys.complain(span, key, format!("a few words in one line are wanted, {MOST_LABEL} characters at most"), help);
        return None;
    }
    Some(label.to_owned())
}

fn name_of(template: &Path) -> String {
    let name = template.file_name().unwrap_or_default().to_string_lossy();
    one_line(name.split('.').find(|part| !part.is_empty()).unwrap_or("campaign"))
}

/// A name stands in lines about it, and is not to make up others: files may be called anything.
fn one_line(name: &str) -> String {
    name.replace(char::is_control, "\u{fffd}")
}
