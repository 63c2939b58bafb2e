//! What stands for people where they must not be named.

use std::{collections::HashSet, fmt};

use ring::hmac;
use rusqlite::params;

use super::{Overview, Store, StoreError};

/// What stands in a reply for what is somebody's.
const REMOVED: &str = "[removed]";

/// Shorter words of a cell are left in replies.
const SHORTEST: usize = 3;

/// Crockford's digits, of which none looks like another.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A pseudonym has so many digits of five bits: among a million people two have the same once in two million campaigns.
const LENGTH: usize = 12;

/// So many digits are written together.
const GROUP: usize = 4;

/// What a person is called in reports: from the campaign's key and the address. In another campaign the same person is called
/// otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pseudonym(u64);

impl From<[u8; 32]> for Pseudonym {
    fn from(person: [u8; 32]) -> Self {
        Self(person.first_chunk().copied().map_or(0, u64::from_be_bytes))
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for nth in 0..LENGTH {
            if nth > 0 && nth % GROUP == 0 {
                f.write_str("-")?;
            }
            let digit = self.0 >> (59 - 5 * nth) & 31;
            write!(f, "{}", char::from(DIGITS[usize::try_from(digit).unwrap_or_default()]))?;
        }
        Ok(())
    }
}

/// Makes pseudonyms with the key of a campaign.
pub(super) struct Pseudonyms(hmac::Key);

impl Pseudonyms {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// HMAC-SHA-256 over an address in lower case.
    pub(super) fn of(&self, address: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.0, address.to_lowercase().as_bytes());
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl Store {
    /// The key of a campaign's pseudonyms, which is made if it has none.
    pub(super) fn pseudonyms(&self, campaign: &Overview) -> Result<Pseudonyms, StoreError> {
        let look = || {
            let sql = "SELECT pseudonyms FROM campaign WHERE number = ?";
            self.connection.query_row(sql, params![campaign.number], |row| row.get::<_, Option<Vec<u8>>>(0))
        };
        let key = || match look()? {
            Some(key) => Ok(key),
            None => {
                let sql = "UPDATE campaign SET pseudonyms = randomblob(32) WHERE number = ? AND pseudonyms IS NULL";
                self.connection.execute(sql, params![campaign.number])?;
                Ok(look()?.unwrap_or_default())
            }
        };
        key().map(|key| Pseudonyms::new(&key)).map_err(|why: rusqlite::Error| self.error(&why))
    }
}

/// A text without anything that has an @ in it.
pub(crate) fn without_addresses(text: &str) -> String {
    without_people(text, None, &HashSet::new())
}

/// The words in the cells of a person, in lower case; not those that could be words of any reply.
pub(super) fn words_of(fields: &str) -> HashSet<String> {
    let rows: Vec<(u64, Vec<String>)> = serde_json::from_str(fields).unwrap_or_default();
    let mut words = HashSet::new();
    for cell in rows.iter().flat_map(|(_, cells)| cells) {
        let parts = cell.split(|c| !is_part(c)).chain(cell.split_whitespace());
        words.extend(parts.map(bare).filter(|word| word.chars().count() >= SHORTEST));
    }
    words
}

/// Whether a character can be in an address or in a word.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || "@.!#$%&'’*+/=?^_`{|}~-…".contains(c)
}

/// A word without what stands around it, in lower case.
fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().replace('’', "'")
}

/// A reply without anything that could be somebody's: whatever has an @ in it, the part in front of the @ of the recipient's own,
/// and the words of the recipient's fields.
pub(super) fn without_people(said: &str, address: Option<&str>, words: &HashSet<String>) -> String {
    let local = address.map(|address| address.rsplit_once('@').map_or(address, |(local, _)| local).to_lowercase());
    let mut left = String::with_capacity(said.len());
    for line in said.split_inclusive('\n') {
        // The code is no part of an address, although a hyphen may stand behind it.
        let is_code =
            |start: &&str| start.ends_with(['-', ' ']) && start.bytes().take(3).all(|digit| digit.is_ascii_digit());
        let code = line.get(..4).filter(is_code).unwrap_or("");
        let mut rest = &line[code.len()..];
        left.push_str(code);
        while let Some(start) = rest.find(is_part) {
            let length = rest[start..].find(|c| !is_part(c)).unwrap_or(rest.len() - start);
            let word = &rest[start..start + length];
            left.push_str(&rest[..start]);
            let bare = bare(word);
            // Also one that is shortened, and an address within an address, as bounces and forwarders write it
            let is_address =
                word.contains('@') || bare.contains("=40") || bare.contains("%40") || local.as_ref() == Some(&bare);
            let is_field = words.contains(&bare);
            left.push_str(if is_address || is_field { REMOVED } else { word });
            rest = &rest[start + length..];
        }
        left.push_str(rest);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_keeps_all_but_addresses() {
        let words = words_of(
            "[[2,[\"Ada Lovelace\",\"REF-77\",\"ok\",\"004711\",\"12.03.1985\",\"+44 7700 900123\",\"D’Arcy\",\"O'Brien, Pat\"]]]",
        );
        for (said, left) in [
            ("550 ada=40one.example: <LOVELACE> REF-77 not ok.", "550 [removed]: <[removed]> [removed] not ok."),
            ("550 5.1.1 <ada@one.example>: unknown", "550 5.1.1 <[removed]>: unknown"),
            ("550-ADA@One.Example,\n550 or b@c.example", "550-[removed],\n550 or [removed]"),
            ("550 no mailbox Ada here. adam is", "550 no mailbox [removed] here. adam is"),
            ("250 2.0.0 Ok: queued as 4XJ", "250 2.0.0 Ok: queued as 4XJ"),
            ("550ü", "550ü"),
            ("550 a…@one.example, @one.example", "550 [removed], [removed]"),
            ("550 004711, born 12.03.1985.", "550 [removed], born [removed]"),
            ("550 call +44 7700 900123 or 2026", "550 call +44 [removed] [removed] or 2026"),
            ("550 (D'Arcy) D’Arcy O’Brien", "550 ([removed]) [removed] [removed]"),
            ("", ""),
        ] {
            assert_eq!(without_people(said, Some("ada@one.example"), &words), left);
        }
    }

    #[test]
    fn a_pseudonym_is_of_an_address_in_any_case_and_of_its_key() {
        let names = |key: u8, address: &str| Pseudonym::from(Pseudonyms::new(&[key; 32]).of(address)).to_string();
        let ada = names(1, "ada@one.example");
        assert_eq!(ada, names(1, "ADA@One.Example"));
        assert_ne!(ada, names(2, "ada@one.example"));
        assert_ne!(ada, names(1, "ada@one.example "));
        let groups: Vec<&str> = ada.split('-').collect();
        assert!(groups.len() == 3 && groups.iter().all(|group| group.len() == 4), "{ada}");
        // As HMAC-SHA-256 has it (RFC 4231, test case 2: the key "Jefe"), its first 60 bits in Crockford's digits.
        let of_rfc = Pseudonyms::new(b"Jefe").of("what do ya want for nothing?");
        assert_eq!(of_rfc[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
        assert_eq!(Pseudonym::from(of_rfc).to_string(), "bfec-2hnz-c1tm");
        assert_eq!(Pseudonym::from([0; 32]).to_string(), "0000-0000-0000");
        assert_eq!(Pseudonym::from([255; 32]).to_string(), "zzzz-zzzz-zzzz");
    }
}
