//! The text that is signed.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::ApprovalError;
use crate::{diagnostic::visible, message::Digest, outbox::Overview};

/// Its first line, and what the second one says.
const HEAD: &str = "apiece statement 1";
const APPROVED: &str = "I have looked at this campaign, and it may be sent.";
const REJECTED: &str = "I have looked at this campaign, and it must not be sent.";

/// A reason is a sentence or two.
const MOST_REASON: usize = 500;

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The campaign's id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Over all that is kept of it.
    pub digest: Digest,
    /// How many people it is for.
    pub recipients: usize,
}

/// What somebody says about a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// That it may be sent.
    Approved,
    /// That it must not, and why: one line.
    Rejected(String),
}

/// What a statement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whether it may be sent.
    pub word: Word,
    /// When that was said, to the second.
    pub at: Timestamp,
}

impl Subject {
    /// A campaign of the record; none where nothing was kept of it that could be approved.
    #[must_use]
    pub fn of(campaign: &Overview) -> Option<Self> {
        let digest = campaign.digest?;
        let (id, name) = (campaign.id.clone(), campaign.name.clone());
        Some(Self { id, name, digest, recipients: campaign.counts.total() })
    }

    /// The text of a statement. It is the same for the same campaign, word and second: what is read is compared with it as a
    /// whole, so that there is one way to say a thing and nothing to understand in two ways.
    #[must_use]
    pub fn statement(&self, said: &Said) -> String {
        let mut text = format!("{HEAD}\n");
        let _ = match &said.word {
            Word::Approved => writeln!(text, "{APPROVED}"),
            Word::Rejected(reason) => writeln!(text, "{REJECTED}\nreason: {}", one_line(reason)),
        };
        let _ = write!(
            text,
            "campaign: {}\nname: {}\nrecipients: {}\ndigest: {}\ntime: {}\n",
            self.id,
            one_line(&self.name),
            self.recipients,
            self.digest,
            said.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        );
        text
    }

    /// What a statement says, if it is one about this very campaign.
    pub fn read(&self, text: &str) -> Result<Said, ApprovalError> {
        let mut lines = text.lines();
        let (Some(HEAD), Some(word)) = (lines.next(), lines.next()) else { return Err(ApprovalError::NoStatement) };
        let word = match word {
            APPROVED => Word::Approved,
            REJECTED => {
                let reason = lines.next().and_then(|line| line.strip_prefix("reason: "));
                Word::Rejected(reason.ok_or(ApprovalError::NoStatement)?.to_owned())
            }
            _ => return Err(ApprovalError::NoStatement),
        };
        let time = text.lines().next_back().and_then(|line| line.strip_prefix("time: "));
        let at = time.and_then(|time| time.parse().ok()).ok_or(ApprovalError::NoStatement)?;
        let said = Said { word, at };
        if self.statement(&said) == text { Ok(said) } else { Err(ApprovalError::OtherStatement(self.id.clone())) }
    }
}

impl Word {
    /// That it must not be sent, for a reason that is some words.
    pub fn rejected(reason: &str) -> Result<Self, ApprovalError> {
        let reason = one_line(reason.trim());
        match reason.chars().count() {
            1..=MOST_REASON if reason.contains(['@', '\u{ff20}']) => Err(ApprovalError::ReasonNames),
            1..=MOST_REASON => Ok(Self::Rejected(reason)),
            _ => Err(ApprovalError::Reason(MOST_REASON)),
        }
    }
}

impl Said {
    /// Something that is said at a moment, to the second.
    #[must_use]
    pub fn now(word: Word, now: Timestamp) -> Self {
        Self { word, at: Timestamp::from_second(now.as_second()).unwrap_or(now) }
    }
}

/// Text that begins no line of its own.
fn one_line(text: &str) -> String {
    visible(text).replace('\n', "<U+000A>").replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &str) -> Subject {
        Subject { id: "01010101".into(), name: name.into(), digest: [1; 32].into(), recipients: 12 }
    }

    #[test]
    fn a_statement_says_one_thing_in_one_way() {
        let at = "2026-11-24T09:30:00Z".parse().unwrap();
        let digest = "01".repeat(32);
        let text = subject("update").statement(&Said { word: Word::Approved, at });
        assert_eq!(
            text,
            format!(
                "apiece statement 1\nI have looked at this campaign, and it may be sent.\ncampaign: 01010101\nname: update\n\
                 recipients: 12\ndigest: {digest}\ntime: 2026-11-24T09:30:00Z\n"
            )
        );
        assert_eq!(subject("update").read(&text).unwrap(), Said { word: Word::Approved, at });
        for (from, to) in [
            ("12", "13"),
            ("0101", "0102"),
            ("\n", "\r\n"),
            ("time: ", "time:  "),
            ("09:30:00Z", "09:30:00.5Z"),
            ("09:30:00Z\n", "09:30:00Z"),
            ("09:30:00Z\n", "09:30:00Z\n\n"),
            ("name: update\n", "name: update\nname: update\n"),
            ("may", "must not"),
            ("apiece statement 1\n", "apiece statement 1\n\n"),
        ] {
            assert!(subject("update").read(&text.replacen(from, to, 1)).is_err(), "{from}");
        }
        // A name begins no line, and a reason is none of the lines behind it.
        let name = "x\ndigest: 00\u{202e}\u{2028}";
        let text = subject(name).statement(&Said { word: Word::Approved, at });
        assert!(text.contains("\nname: x<U+000A>digest: 00<U+202E><U+2028>\n"), "{text}");
        assert!(subject(name).read(&text).is_ok() && subject("x").read(&text).is_err());
        let word = Word::rejected(" row 7\n is no victim ").unwrap();
        assert_eq!(word, Word::Rejected("row 7<U+000A> is no victim".into()));
        let text = subject("x").statement(&Said { word: word.clone(), at });
        assert_eq!(subject("x").read(&text).unwrap().word, word);
        assert!(Word::rejected(" \n").is_err());
        assert!(Word::rejected("not for ada@one.example").is_err());
    }
}
