//! Everything that the record says of a campaign's messages, one after the other, and what it proves of all of them.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{
    Outcome, Overview, Store, StoreError,
    look::{rows_of, time},
    people::{Pseudonym, Pseudonyms, own, without_people},
};
use crate::{
    address::Address,
    guard::Own,
    outbox::database::{Done, Fault, Row, values},
};

/// Whether people are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// By pseudonyms alone, and what servers said is without anybody's address and cells.
    Hidden,
    /// By their addresses, too, and what servers said is as they said it.
    Shown,
}

/// A message of a campaign with all that was done about it.
#[derive(Debug, Clone)]
pub struct Traced {
    /// What its recipient is called in reports.
    pub pseudonym: Pseudonym,
    /// Where its recipient is in the spreadsheet, the first row first.
    pub rows: Vec<u64>,
    /// Whom it is for, if that is known and may be said.
    pub address: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// In their order.
    pub transactions: Vec<Transaction>,
}

/// One try to hand a message over. It was written down before the server could have the message.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// To look it up by.
    pub message_id: String,
    /// Address and port.
    pub server: String,
    /// Such as `TLSv1.3`; none on the way to a relay on the same machine.
    pub tls: Option<String>,
    /// When it began.
    pub began: Option<Timestamp>,
    /// When there was an answer, or none any more.
    pub ended: Option<Timestamp>,
    /// What it came to.
    pub outcome: Outcome,
    /// The code of the reply.
    pub code: Option<u16>,
    /// The enhanced one (RFC 3463).
    pub enhanced: Option<String>,
    /// The reply, or what happened in place of one.
    pub said: String,
}

/// The transactions of a campaign together.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// How many there were.
    pub transactions: usize,
    /// How many messages had one at least.
    pub tried: usize,
    /// How many messages had more than one.
    pub tried_again: usize,
    /// When the first one began, and when the last one was over.
    pub span: Option<(Timestamp, Timestamp)>,
    /// When the server took the first message over, and when the last.
    pub sent: Option<(Timestamp, Timestamp)>,
    /// How many messages are called sent because somebody found out that the server has them.
    pub found_sent: usize,
    /// To which servers they went, and how many to each; the most first.
    pub servers: Vec<(String, usize)>,
    /// Over which versions of TLS, and how many over each; none is without.
    pub tls: Vec<(Option<String>, usize)>,
    /// How many rows the file of the list had for its people, if that is known.
    pub rows: Option<usize>,
}

/// Something that the record must not speak against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// What it is, in words.
    pub claim: &'static str,
    /// How often the record says otherwise.
    pub against: usize,
    /// For how many messages nobody knows it: they were in doubt, and were sent again on somebody's word.
    pub unknown: usize,
}

/// What is true of a record in which each transaction had one recipient and nobody was sent anything twice. Each query counts
/// what speaks against it.
const CLAIMS: [(&str, &str); 6] = [
    (
        "each message of the campaign is for one recipient, and each recipient has one message",
        "SELECT (SELECT count(*) FROM message WHERE campaign = ?1
            AND NOT EXISTS (SELECT 1 FROM recipient WHERE recipient.campaign = ?1 AND recipient.position = message.position))
         + (SELECT count(*) FROM recipient WHERE campaign = ?1
            AND NOT EXISTS (SELECT 1 FROM message WHERE message.campaign = ?1 AND message.position = recipient.position))",
    ),
    (
        "no two messages are for the same address",
        "SELECT count(*) - count(DISTINCT coalesce(CAST(person AS TEXT), lower(address))) FROM recipient WHERE campaign = ?1",
    ),
    (
        "each transaction is of one message of the campaign",
        "SELECT count(*) FROM attempt WHERE campaign = ?1
         AND NOT EXISTS (SELECT 1 FROM message WHERE message.campaign = ?1 AND message.position = attempt.position)",
    ),
    (
        "each Message-ID is one recipient's, and each recipient's Message-ID is the same in every transaction",
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM attempt WHERE campaign = ?1 GROUP BY message_id
            HAVING min(position) <> max(position)) AS shared)
         + (SELECT count(*) FROM (SELECT 1 FROM attempt WHERE campaign = ?1 GROUP BY position
            HAVING min(message_id) <> max(message_id)) AS others)",
    ),
    (
        TWICE,
        "SELECT count(*) FROM (SELECT 1 FROM attempt WHERE campaign = ?1 AND outcome = 'sent' GROUP BY position
         HAVING count(*) > 1) AS twice",
    ),
    (
        AGAIN,
        "SELECT count(*) FROM attempt AS sent WHERE campaign = ?1 AND outcome = 'sent' AND EXISTS (SELECT 1 FROM attempt AS later
         WHERE later.campaign = ?1 AND later.position = sent.position AND later.number > sent.number)",
    ),
];

/// Claims about the server, of which the record knows only what the server said.
const UNHEARD: [&str; 2] = [TWICE, AGAIN];
const TWICE: &str = "the server took over no message twice";
const AGAIN: &str = "no message was begun again after the server had taken it over";

/// How many messages were begun again although the answer to an earlier try was lost.
const DOUBTED: &str = "SELECT count(DISTINCT position) FROM attempt AS lost WHERE campaign = ?1
     AND outcome IN ('in_doubt', 'sending') AND EXISTS (SELECT 1 FROM attempt AS later
     WHERE later.campaign = ?1 AND later.position = lost.position AND later.number > lost.number)";

/// Each message with its recipient and all of its transactions, in their order.
const TRACED: &str =
    "SELECT message.position AS place, row, address, person, fields, state, attempt.number AS nth, message_id,
     server, tls, began, ended, code, enhanced, said, outcome
     FROM message LEFT JOIN recipient ON recipient.campaign = message.campaign AND recipient.position = message.position
     LEFT JOIN attempt ON attempt.campaign = message.campaign AND attempt.position = message.position
     WHERE message.campaign = ?1 AND message.position BETWEEN ?2 AND ?3 ORDER BY message.position, attempt.number";

impl Store {
    /// Looks at the record as it is at this moment, whatever a run writes meanwhile.
    pub fn still<T>(&self, with: impl FnOnce() -> T) -> Result<T, StoreError> {
        let still = self.database.still().map_err(|why| self.error(&why))?;
        let seen = with();
        still.commit().map_err(|why| self.error(&why))?;
        Ok(seen)
    }

    /// Goes through all messages of a campaign, in the order of the list, as long as somebody wants more.
    pub fn trace(&self, campaign: &Overview, names: Names, with: impl FnMut(Traced) -> bool) -> Result<(), StoreError> {
        self.traced(campaign, names, None, with)
    }

    /// The message to an address, if it was on the list; also once people's data is gone.
    pub fn find(&self, campaign: &Overview, address: &Address) -> Result<Option<Traced>, StoreError> {
        let key = address.key();
        let pseudonyms = self.pseudonyms(campaign)?;
        let place = || {
            let sql = "SELECT salt FROM campaign WHERE number = ?";
            let salt: Option<Vec<u8>> = self.database.one(sql, values![campaign.number], |row| row.get(0))?;
            // What earlier versions left of somebody
            let salted: Option<[u8; 32]> =
                salt.map(|salt| Sha256::new().chain_update(salt).chain_update(key.as_bytes()).finalize().into());
            let keyed = pseudonyms.of(&key);
            let sql = "SELECT position, address, person FROM recipient WHERE campaign = ?";
            let mut place = None;
            self.database.each_while(sql, values![campaign.number], |person| {
                let is_meant = match (person.text_if_any(1)?, person.octets_if_any(2)?) {
                    (Some(address), _) => address.to_lowercase() == key,
                    (None, Some(person)) => person == keyed || salted.is_some_and(|salted| person == salted),
                    (None, None) => false,
                };
                if is_meant {
                    place = Some(person.get(0)?);
                }
                Ok(!is_meant)
            })?;
            Ok(place)
        };
        let place: Option<i64> = place().map_err(|why: Fault| self.error(&why))?;
        let Some(place) = place else { return Ok(None) };
        let mut found = None;
        self.traced(campaign, Names::Hidden, Some(place), |traced| {
            found = Some(traced);
            false
        })?;
        Ok(found)
    }

    fn traced(
        &self,
        campaign: &Overview,
        names: Names,
        place: Option<i64>,
        mut with: impl FnMut(Traced) -> bool,
    ) -> Result<(), StoreError> {
        let pseudonyms = self.pseudonyms(campaign)?;
        let (first, last) = place.map_or((0, i64::MAX), |place| (place, place));
        let mut open: Option<(i64, Person)> = None;
        let traced = self.database.each_while(TRACED, values![campaign.number, first, last], |line| {
            let place = line.get("place")?;
            if open.as_ref().is_none_or(|(before, _)| *before != place) {
                let next = (place, Person::of(line, &pseudonyms, names)?);
                if let Some((_, before)) = open.replace(next)
                    && !with(before.traced(names))
                {
                    open = None;
                    return Ok(false);
                }
            }
            if let Some((_, person)) = &mut open
                && line.get::<Option<i64>>("nth")?.is_some()
            {
                let said = transaction(line, |said| person.without(said))?;
                person.traced.transactions.push(said);
            }
            Ok(true)
        });
        traced.map_err(|why| self.error(&why))?;
        if let Some((_, last)) = open {
            with(last.traced(names));
        }
        Ok(())
    }

    /// What the transactions of a campaign come to.
    pub fn totals(&self, campaign: &Overview) -> Result<Totals, StoreError> {
        let number = campaign.number;
        let span = |first: &str, condition: &str| {
            let sql = format!(
                "SELECT min({first}) AS first, max(coalesce(ended, began)) AS last FROM attempt WHERE campaign = ? {condition}"
            );
            self.database.one(&sql, values![number], |row| Ok(time(row, "first")?.zip(time(row, "last")?)))
        };
        let all = || {
            let (tried, sent) = (span("began", "")?, span("ended", "AND outcome = 'sent'")?);
            let mut totals = Totals { span: tried, sent, ..Totals::default() };
            let sql = "SELECT CAST(coalesce(sum(times), 0) AS BIGINT), count(*), count(*) FILTER (WHERE times > 1)
                       FROM (SELECT count(*) AS times FROM attempt WHERE campaign = ? GROUP BY position) AS tried";
            (totals.transactions, totals.tried, totals.tried_again) =
                self.database.one(sql, values![number], |row| Ok((count(row, 0)?, count(row, 1)?, count(row, 2)?)))?;
            let sql = "SELECT count(*) FROM message WHERE campaign = ? AND state = 'sent' AND NOT EXISTS (SELECT 1 FROM attempt
                       WHERE attempt.campaign = message.campaign AND attempt.position = message.position AND outcome = 'sent')";
            totals.found_sent = self.database.one(sql, values![number], |row| count(row, 0))?;
            let sql =
                "SELECT coalesce(server, ''), count(*) FROM attempt WHERE campaign = ? GROUP BY 1 ORDER BY 2 DESC, 1";
            totals.servers = self.database.all(sql, values![number], |row| Ok((row.get(0)?, count(row, 1)?)))?;
            let sql = "SELECT tls, count(*) FROM attempt WHERE campaign = ? GROUP BY 1 ORDER BY 2 DESC, 1 NULLS FIRST";
            totals.tls = self.database.all(sql, values![number], |row| Ok((row.get(0)?, count(row, 1)?)))?;
            Ok(totals)
        };
        let mut totals = all().map_err(|why: Fault| self.error(&why))?;
        let entries = self.entries(&campaign.id)?;
        let prepared = entries.iter().find(|entry| entry.what == "prepared");
        let rows = prepared.and_then(|entry| entry.details["rows"].as_u64());
        totals.rows = rows.and_then(|rows| usize::try_from(rows).ok());
        Ok(totals)
    }

    /// Whether the record speaks against what must be true of it: that each transaction had one recipient, and that nobody was
    /// sent anything twice.
    pub fn checks(&self, campaign: &Overview) -> Result<Vec<Check>, StoreError> {
        let number = |sql: &str| self.database.one(sql, values![campaign.number], |row| count(row, 0));
        let check = |(claim, sql): (&'static str, &str)| {
            let unknown = if UNHEARD.contains(&claim) { number(DOUBTED)? } else { 0 };
            Ok(Check { claim, against: number(sql)?, unknown })
        };
        CLAIMS.into_iter().map(check).collect::<Done<_>>().map_err(|why| self.error(&why))
    }
}

/// A recipient whose transactions are being read.
struct Person {
    traced: Traced,
    /// What servers must not be quoted with; none where they may.
    own: Option<Own>,
}

impl Person {
    fn of(line: &Row<'_>, pseudonyms: &Pseudonyms, names: Names) -> Done<Self> {
        let address: Option<String> = line.get("address")?;
        let person: Option<[u8; 32]> = line.get("person")?;
        let fields = line.text_if_any("fields")?;
        let known = address.as_ref().map(|address| pseudonyms.of(address));
        let first = line.get::<Option<i64>>("row")?.unwrap_or_default();
        Ok(Self {
            own: (names == Names::Hidden).then(|| own(address.as_deref(), fields.unwrap_or_default())),
            traced: Traced {
                pseudonym: known.or(person).unwrap_or_default().into(),
                rows: rows_of(first, fields),
                address,
                outcome: Outcome::of_name(line.text("state")?).unwrap_or(Outcome::InDoubt),
                transactions: Vec::new(),
            },
        })
    }

    /// What a server said, as it may be said.
    fn without(&self, said: &str) -> String {
        self.own.as_ref().map_or_else(|| said.to_owned(), |own| without_people(said, own))
    }

    fn traced(self, names: Names) -> Traced {
        let address = self.traced.address.filter(|_| names == Names::Shown);
        Traced { address, ..self.traced }
    }
}

fn transaction(line: &Row<'_>, without: impl FnOnce(&str) -> String) -> Done<Transaction> {
    let text = |name: &str| Ok::<_, Fault>(line.get::<Option<String>>(name)?.unwrap_or_default());
    Ok(Transaction {
        message_id: text("message_id")?,
        server: text("server")?,
        tls: line.get("tls")?,
        began: time(line, "began")?,
        ended: time(line, "ended")?,
        outcome: Outcome::of_name(&text("outcome")?).unwrap_or(Outcome::InDoubt),
        code: line.get("code")?,
        enhanced: line.get("enhanced")?,
        said: without(&text("said")?),
    })
}

fn count(row: &Row<'_>, column: usize) -> Done<usize> {
    Ok(usize::try_from(row.get::<i64>(column)?).unwrap_or_default())
}
