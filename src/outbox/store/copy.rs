//! All of an outbox goes into another one, of whichever kind: from then on it is changed and sent there, and nowhere else.

use jiff::Timestamp;

use super::{
    Store, StoreError,
    seal::{Arrival, Token, arrival, arrive},
};
use crate::{
    fault,
    outbox::{
        Outcome,
        database::{Batch, Database, Done, Fault, Location, Value, values},
    },
};

/// So many messages at most become together what they are.
const MOST_TOGETHER: i64 = 10_000;

/// The column of a message that it does not begin with.
const STATE: &str = "state";

/// What is copied of an outbox. Who has what at the moment is not: nobody has anything then.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// What tells one row from another, in whose order they are copied.
    key: &'static [&'static str],
    /// The other columns.
    rest: &'static [&'static str],
    /// Columns of texts that must be the same in the other outbox, letter by letter; replies of servers need not be, since a NUL in
    /// them was never kept by every kind of outbox.
    texts: &'static [&'static str],
}

impl Table {
    pub(super) fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.key.iter().chain(self.rest).copied()
    }
}

/// In an order in which each row finds there what it names.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "campaign",
        key: &["number"],
        rest: &[
            "id",
            "content",
            "edition",
            "source",
            "name",
            "prepared",
            "total",
            "digest",
            "template",
            "made_by",
            "settings",
            "list",
            "largest",
            "salt",
            "purged",
            "pseudonyms",
            "origin",
            "people",
            "home",
        ],
        texts: &["id", "name", "made_by", "settings", "list", "origin", "home"],
    },
    Table {
        name: "recipient",
        key: &["campaign", "position"],
        rest: &["row", "address", "fields", "person"],
        texts: &["address", "fields"],
    },
    Table {
        name: "message",
        key: &["campaign", "position"],
        rest: &["state", "digest", "says", "again", "tries", "since", "due", "taken_back", "occurrence", "once"],
        texts: &["occurrence"],
    },
    Table {
        name: "attempt",
        key: &["number"],
        rest: &[
            "campaign",
            "position",
            "message_id",
            "account",
            "server",
            "tls",
            "began",
            "ended",
            "code",
            "enhanced",
            "said",
            "outcome",
            "slot",
        ],
        texts: &["message_id", "account", "server", "tls", "enhanced"],
    },
    Table { name: "content", key: &["digest"], rest: &["bytes"], texts: &[] },
    Table { name: "file", key: &["campaign", "path"], rest: &["digest"], texts: &["path"] },
    Table { name: "slot", key: &["number"], rest: &["account", "campaign", "taken", "over"], texts: &["account"] },
    Table {
        name: "log",
        key: &["number"],
        rest: &["at", "campaign", "who", "what", "details", "hash"],
        texts: &["campaign", "who", "what", "details"],
    },
];

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// So many campaigns.
    pub campaigns: usize,
    /// So many messages.
    pub messages: usize,
}

/// Why it did not all arrive.
pub(super) enum Failed {
    /// Nothing of it did.
    Nothing(StoreError),
    /// Nobody knows whether all of it did, or nothing.
    Unknown(StoreError),
}

impl Store {
    /// Moves all of an outbox into an empty one. Nothing is changed or sent in the first any more from the moment at which it begins;
    /// said again after it was broken off, it goes on.
    pub fn copy(from: &Location, to: &Location, who: &str, now: Timestamp) -> Result<Copied, StoreError> {
        let (source, destination) = ends(from, to)?;
        let place = destination.location.to_string();
        let mut begun = source.move_to(&place)?.map(|out| out.token);
        if let Some(token) = begun
            && destination.knows_of(&token)? == Arrival::Refused
        {
            // Somebody was about to take it back.
            source.take_back(&destination, &token, now)?;
            begun = None;
        }
        let token = match begun {
            Some(token) => token,
            None => {
                check_texts(&source, &destination)?;
                let is_empty = is_empty(&destination.database).map_err(|why| destination.error(&why))?;
                if !is_empty {
                    return Err(StoreError::NotEmpty(destination.location));
                }
                source.seal(&place, who, now)?
            }
        };
        fault::point("copy-sealed");
        match destination.take_in(&source, &token, who, now) {
            Ok(()) => source.is_over(&token, now)?,
            Err(Failed::Unknown(why)) => return Err(why),
            Err(Failed::Nothing(why)) => {
                // It stays where it is, unless another program has moved it meanwhile.
                if !source.take_back(&destination, &token, now).unwrap_or(false) {
                    return Err(why);
                }
            }
        }
        destination.settle();
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM {table}");
            let count = destination.database.one(&sql, &[], |row| row.get::<i64>(0));
            count.map(|count| usize::try_from(count).unwrap_or_default()).map_err(|why| destination.error(&why))
        };
        Ok(Copied { campaigns: count("campaign")?, messages: count("message")? })
    }

    /// Takes a move back that was broken off before all of it had arrived.
    pub fn undo_copy(from: &Location, to: &Location, now: Timestamp) -> Result<(), StoreError> {
        let (source, destination) = ends(from, to)?;
        let out = source.move_to(&destination.location.to_string())?;
        let Some(out) = out else { return Err(StoreError::NotMoving(source.location)) };
        let is_there = source.take_back(&destination, &out.token, now)?;
        source.moved_away().filter(|_| is_there).map_or(Ok(()), Err)
    }

    fn knows_of(&self, token: &Token) -> Result<Arrival, StoreError> {
        arrival(&self.database, token).map_err(|why| self.error(&why))
    }

    /// Takes in all that is in another outbox, which is sealed: all of it, or nothing.
    pub(super) fn take_in(&self, source: &Self, token: &Token, who: &str, now: Timestamp) -> Result<(), Failed> {
        let failed = |why: Fault| Failed::Nothing(self.error(&why));
        let change = match self.database.change() {
            Ok(change) => change,
            // It may have arrived, and gone on to somewhere else.
            Err(_) if self.knows_of(token).is_ok_and(|known| known == Arrival::Here) => return Ok(()),
            Err(why) => return Err(failed(why)),
        };
        match arrival(&change, token).map_err(failed)? {
            Arrival::Here => return Ok(()),
            Arrival::Refused => return Err(Failed::Nothing(StoreError::NotMoving(source.location.clone()))),
            Arrival::Unknown => {}
        }
        if !is_empty(&change).map_err(failed)? {
            return Err(Failed::Nothing(StoreError::NotEmpty(self.location.clone())));
        }
        let unread = |why: Fault| Failed::Nothing(source.error(&why));
        let still = source.database.still().map_err(unread)?;
        let mut batch = change.batch();
        for table in TABLES {
            table.copy(&still, &mut batch).map_err(|why| match why {
                Side::Source(why) => unread(why),
                Side::Destination(why) => failed(why),
            })?;
        }
        batch.end().map_err(failed)?;
        change.number_on().map_err(failed)?;
        arrive(&change, token, &source.location.to_string(), who, now).map_err(failed)?;
        fault::point("copy-unwritten");
        change.commit().map_err(|why| Failed::Unknown(self.error(&why)))?;
        fault::point("copy-written");
        Ok(())
    }
}

/// Both of them, if they can be opened and are not one.
fn ends(from: &Location, to: &Location) -> Result<(Store, Store), StoreError> {
    if !from.may_be_there() {
        return Err(StoreError::Missing(from.clone()));
    }
    let source = Store::open(from)?;
    match source.move_out()? {
        // It was made before anything was sealed. Wherever it is now, all of it may be in it.
        Some(_) if !to.may_be_there() => {
            return Err(source.moved_away().unwrap_or_else(|| StoreError::Missing(to.clone())));
        }
        Some(_) => {}
        // Nothing is made for what is refused anyhow.
        None => source.check_idle()?,
    }
    let destination = Store::open(to)?;
    if destination.location == source.location {
        return Err(StoreError::NotEmpty(destination.location));
    }
    Ok((source, destination))
}

/// Whether nothing was ever kept in it.
fn is_empty(database: &Database) -> Done<bool> {
    for table in TABLES {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
        if database.one(&sql, &[], |row| row.get::<bool>(0))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the destination can hold all texts as they are.
fn check_texts(source: &Store, destination: &Store) -> Result<(), StoreError> {
    if destination.database.holds_nul() || !source.database.holds_nul() {
        return Ok(());
    }
    for table in TABLES.iter().filter(|table| !table.texts.is_empty()) {
        let has_nul: Vec<String> = table.texts.iter().map(|text| format!("instr({text}, char(0)) > 0")).collect();
        let sql = format!("SELECT {} FROM {} WHERE {} LIMIT 1", table.key.join(", "), table.name, has_nul.join(" OR "));
        let odd = source.database.perhaps(&sql, &[], |row| {
            let key = table.key.iter().enumerate().map(|(nth, column)| {
                Ok(match row.cell(nth)? {
                    Value::Number(number) => format!("{column} {number}"),
                    _ => String::from("a path"),
                })
            });
            Ok(key.collect::<Done<Vec<_>>>()?.join(", "))
        });
        if let Some(key) = odd.map_err(|why| source.error(&why))? {
            return Err(StoreError::NoText(format!("the outbox {}, table {}, {key}:", source.location, table.name)));
        }
    }
    Ok(())
}

/// On which side something went wrong.
enum Side {
    Source(Fault),
    Destination(Fault),
}

impl Table {
    /// Writes all of its rows down on the other side.
    fn copy(&self, source: &Database, batch: &mut Batch<'_>) -> Result<(), Side> {
        let is_message = self.name == "message";
        let columns: Vec<&str> = self.columns().filter(|column| !is_message || *column != STATE).collect();
        let places = vec!["?"; columns.len()].join(", ");
        let insert = format!("INSERT INTO {} ({}) VALUES ({places})", self.name, columns.join(", "));
        let (mut states, mut written) = (States::default(), Ok(()));
        let read = self.each(source, |row| {
            written = if is_message { states.add(batch, &insert, row) } else { batch.add(&insert, row) };
            Ok(written.is_ok())
        });
        written.map_err(Side::Destination)?;
        read.map_err(Side::Source)?;
        states.end(batch).map_err(Side::Destination)
    }

    /// Gives each row to somebody, as long as more are wanted.
    fn each(&self, source: &Database, mut with: impl FnMut(&[Value<'_>]) -> Done<bool>) -> Done<()> {
        let key = self.key.join(", ");
        if self.name == "content" {
            // They may be large: not several at once.
            return source.each_while(&format!("SELECT {key} FROM content ORDER BY {key}"), &[], |digest| {
                let digest = digest.cell(0)?;
                source.one("SELECT bytes FROM content WHERE digest = ?", &[digest], |row| with(&[digest, row.cell(0)?]))
            });
        }
        let columns: Vec<&str> = self.columns().collect();
        let sql = format!("SELECT {} FROM {} ORDER BY {key}", columns.join(", "), self.name);
        source.each_while(&sql, &[], |row| {
            let row = (0..columns.len()).map(|nth| row.cell(nth)).collect::<Done<Vec<_>>>()?;
            with(&row)
        })
    }
}

/// Messages begin queued, and go the way to what they are that the table of states allows; many that follow each other in one step.
#[derive(Default)]
struct States(Option<Stretch>);

/// Messages of a campaign that follow each other and are the same.
struct Stretch {
    campaign: i64,
    first: i64,
    last: i64,
    outcome: Outcome,
}

impl States {
    /// Writes a message down, which becomes what it is later.
    fn add(&mut self, batch: &mut Batch<'_>, insert: &str, row: &[Value<'_>]) -> Done<()> {
        let [Value::Number(campaign), Value::Number(position), Value::Text(state), rest @ ..] = row else {
            return Err(Fault::Odd);
        };
        let outcome = Outcome::of_name(state).ok_or(Fault::Odd)?;
        match &mut self.0 {
            Some(open)
                if (open.campaign, open.outcome) == (*campaign, outcome)
                    && open.last + 1 == *position
                    && open.last - open.first < MOST_TOGETHER =>
            {
                open.last = *position;
            }
            _ => {
                self.end(batch)?;
                self.0 = Some(Stretch { campaign: *campaign, first: *position, last: *position, outcome });
            }
        }
        batch.add(insert, &[&row[..2], rest].concat())
    }

    /// Those that were written down last become what they are.
    fn end(&mut self, batch: &mut Batch<'_>) -> Done<()> {
        let Some(Stretch { campaign, first, last, outcome }) = self.0.take() else { return Ok(()) };
        let steps = match outcome {
            Outcome::Queued => &[][..],
            outcome if Outcome::Queued.may_become(outcome) => &[outcome],
            outcome => &[Outcome::Sending, outcome],
        };
        let sql = "UPDATE message SET state = ? WHERE campaign = ? AND position BETWEEN ? AND ?";
        steps.iter().try_for_each(|step| batch.add(sql, values![step.name(), campaign, first, last]))
    }
}
