//! The proof: read back from what a sandbox kept, knowing nothing of what was meant to be sent but the list.

use std::{collections::BTreeMap, ffi::OsStr, fmt, io, path::Path, sync::Arc};

use super::capture::{CapturedEnvelope, ENVELOPE_ENDING, MESSAGE_ENDING};
use crate::{
    address::Address,
    guard::{Fault, Guard},
    message::Envelope,
    recipients::RecipientList,
};

/// What a sandbox was really sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Messages kept.
    pub messages: usize,
    /// Envelopes kept; one for each message.
    pub envelopes: usize,
    /// How many envelopes had how many recipients.
    pub recipients: BTreeMap<usize, usize>,
    /// How many messages came over which version of TLS.
    pub tls: BTreeMap<String, usize>,
    /// How many messages came from somebody who had logged in.
    pub authenticated: usize,
    /// How many messages hold another recipient's address, or are not for the one in their envelope.
    pub leaking: usize,
    /// People on the list.
    pub people: usize,
    /// People on the list who got exactly one message.
    pub reached_once: usize,
    /// Envelopes for somebody who is not on the list.
    pub strangers: usize,
}

impl Proof {
    /// Reads back everything in a sandbox's directory.
    pub fn read(directory: &Path, list: &Arc<RecipientList>, allow: &[Address]) -> io::Result<Self> {
        let guard = Guard::new(Arc::clone(list), allow);
        // By the person's place in the list.
        let mut reached: Vec<usize> = vec![0; list.len()];
        let mut proof = Self { people: list.len(), ..Self::default() };
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(OsStr::to_str) else { continue };
            if let Some(stem) = name.strip_suffix(ENVELOPE_ENDING) {
                let envelope: CapturedEnvelope = serde_json::from_slice(&std::fs::read(&path)?)?;
                let message = std::fs::read(directory.join(format!("{stem}{MESSAGE_ENDING}")))?;
                proof.add(&envelope, &message, &guard);
                for to in &envelope.rcpt_to {
                    match list.find(to) {
                        Some(index) => reached[index] += 1,
                        None => proof.strangers += 1,
                    }
                }
            } else if name.ends_with(MESSAGE_ENDING) {
                proof.messages += 1;
            }
        }
        proof.reached_once = reached.iter().filter(|times| **times == 1).count();
        Ok(proof)
    }

    fn add(&mut self, envelope: &CapturedEnvelope, message: &[u8], guard: &Guard) {
        self.envelopes += 1;
        *self.recipients.entry(envelope.rcpt_to.len()).or_default() += 1;
        *self.tls.entry(envelope.tls.clone().unwrap_or("none".into())).or_default() += 1;
        self.authenticated += usize::from(envelope.authenticated_as.is_some());
        let addresses = (envelope.mail_from.parse(), envelope.rcpt_to.first().map(|to| to.parse()));
        let clean = match addresses {
            (Ok(from), Some(Ok(to))) => guard
                .inspect_bytes(&Envelope::new(from, to), message)
                .iter()
                .all(|finding| matches!(finding.fault, Fault::Unread { .. })),
            _ => false,
        };
        self.leaking += usize::from(!clean);
    }

    /// Whether `people` got one message each, alone in their envelopes, over TLS and after a login, and nothing
    /// in them was anybody else's.
    #[must_use]
    pub fn holds(&self, people: usize) -> bool {
        self.messages == people
            && self.envelopes == people
            && self.recipients.keys().all(|recipients| *recipients == 1)
            && self.tls.keys().all(|version| version.starts_with("TLS"))
            && self.authenticated == people
            && self.leaking == 0
            && self.reached_once == people
            && self.strangers == 0
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |counts: Vec<(String, usize)>| match counts.as_slice() {
            [] => "none".to_owned(),
            [(what, _)] => what.clone(),
            several => {
                several.iter().map(|(what, times)| format!("{what} ({times} messages)")).collect::<Vec<_>>().join(", ")
            }
        };
        let recipients = self.recipients.iter().map(|(count, times)| (count.to_string(), *times)).collect();
        let tls = self.tls.iter().map(|(version, times)| (version.clone(), *times)).collect();
        let authenticated = match self.authenticated {
            all if all == self.envelopes => "yes, all".to_owned(),
            some => format!("{some} of {}", self.envelopes),
        };
        writeln!(f, "  messages kept                        {}", self.messages)?;
        writeln!(f, "  envelopes                            {}", self.envelopes)?;
        writeln!(f, "  recipients in each envelope          {}", counted(recipients))?;
        writeln!(f, "  people with exactly one message      {} of {} on the list", self.reached_once, self.people)?;
        writeln!(f, "  TLS                                  {}", counted(tls))?;
        writeln!(f, "  authenticated                        {authenticated}")?;
        write!(f, "  messages with another's address      {}", self.leaking)?;
        if self.strangers > 0 {
            write!(f, "\n  envelopes for people not on the list {}", self.strangers)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{campaign::ListOptions, sandbox::capture::Capture};

    #[test]
    fn it_tells_what_was_really_kept_even_if_that_is_bad() {
        let directory = tempfile::tempdir().unwrap();
        let list = "email\na@one.example\nb@one.example\n";
        let list = Arc::new(RecipientList::parse("p", list, &ListOptions::default()).unwrap());
        let capture = Capture::new(directory.path().to_owned());
        let envelope = |to: &[&str], tls: Option<&str>| CapturedEnvelope {
            mail_from: "u@police.example".into(),
            rcpt_to: to.iter().map(ToString::to_string).collect(),
            tls: tls.map(str::to_owned),
            authenticated_as: tls.map(|_| "x".into()),
        };
        let message = |to: &str, body: &str| format!("From: u@police.example\r\nTo: {to}\r\n\r\n{body}\r\n");
        capture
            .write(&envelope(&["a@one.example"], Some("TLSv1.3")), message("a@one.example", "hi").as_bytes())
            .unwrap();
        let good = Proof::read(directory.path(), &list, &[]).unwrap();
        assert!(good.holds(1) && !good.holds(2));

        capture
            .write(&envelope(&["b@one.example"], None), message("b@one.example", "not a@one.example").as_bytes())
            .unwrap();
        capture
            .write(
                &envelope(&["a@one.example", "c@one.example"], Some("TLSv1.3")),
                message("a@one.example", "hi").as_bytes(),
            )
            .unwrap();
        let bad = Proof::read(directory.path(), &list, &[]).unwrap();
        assert_eq!(bad.recipients, BTreeMap::from([(1, 2), (2, 1)]));
        assert_eq!((bad.messages, bad.authenticated, bad.leaking, bad.reached_once, bad.strangers), (3, 2, 1, 1, 1));
        assert!(!bad.holds(3));
    }
}
