//! What stands for people where they must not be named.

use std::{fmt, ops::Range};

use super::{Overview, Store, StoreError};
use crate::{
    guard::Own,
    message::Digest,
    outbox::database::{Fault, random, values},
    recipients::Shape,
};
use ring::hmac;

/// What stands in a reply for what is somebody's.
const REMOVED: &str = "[removed]";

/// Crockford's digits, of which none looks like another.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A pseudonym has so many digits of five bits: among a million people two have the same once in two million campaigns.
const LENGTH: usize = 12;

/// So many digits are written together.
const GROUP: usize = 4;

/// So many hexadecimal digits of the SHA-256 of a key are in the log.
const FINGERPRINT: usize = 16;

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
pub(super) struct Pseudonyms {
    key: hmac::Key,
    fingerprint: String,
}

impl Pseudonyms {
    pub(super) fn new(key: &[u8]) -> Self {
        let mut fingerprint = Digest::builder();
        fingerprint.add(key);
        let mut fingerprint = fingerprint.finish().to_string();
        fingerprint.truncate(FINGERPRINT);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), fingerprint }
    }

    /// What the log knows of the key: with it nobody learns the key, and whoever changes it is found out.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// HMAC-SHA-256 over an address in lower case.
    pub(super) fn of(&self, address: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.key, address.to_lowercase().as_bytes());
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl Store {
    /// The key of a campaign's pseudonyms, which is made if it has none.
    pub(super) fn pseudonyms(&self, campaign: &Overview) -> Result<Pseudonyms, StoreError> {
        let look = || {
            let sql = "SELECT pseudonyms FROM campaign WHERE number = ?";
            self.database.one(sql, values![campaign.number], |row| row.get::<Option<Vec<u8>>>(0))
        };
        let key = || match look()? {
            Some(key) => Ok(key),
            None => {
                let sql = "UPDATE campaign SET pseudonyms = ? WHERE number = ? AND pseudonyms IS NULL";
                self.database.run(sql, values![random::<32>()?, campaign.number])?;
                Ok(look()?.unwrap_or_default())
            }
        };
        key().map(|key| Pseudonyms::new(&key)).map_err(|why: Fault| self.error(&why))
    }
}

impl Store {
    /// The row of a recipient whom a text names: by what is in front of the @ of the address, or by what is in an identifying
    /// column. Nobody knows it of a campaign that was purged.
    pub fn names(&self, campaign: &Overview, text: &str) -> Result<Option<u64>, StoreError> {
        let look = || {
            let sql = "SELECT list FROM campaign WHERE number = ?";
            let list: Option<String> = self.database.one(sql, values![campaign.number], |row| row.get(0))?;
            let shape: Option<Shape> = list.and_then(|list| serde_json::from_str(&list).ok());
            let columns = shape.map(|shape| shape.columns).unwrap_or_default();
            let sql =
                "SELECT row, address, coalesce(fields, '') FROM recipient WHERE campaign = ? AND address IS NOT NULL";
            let mut named = None;
            self.database.each_while(sql, values![campaign.number], |person| {
                let rows = rows(person.text(2)?);
                let cells = rows.iter().flat_map(|(_, cells)| cells.iter().zip(&columns));
                let cells = cells.filter(|(_, column)| column.identifying).map(|(cell, _)| cell.as_str());
                let mut is_named = false;
                Own::whole(person.text(1)?, cells).search(text, &mut |_| is_named = true);
                if is_named {
                    named = Some(u64::try_from(person.get::<i64>(0)?).unwrap_or_default());
                }
                Ok(!is_named)
            })?;
            Ok(named)
        };
        look().map_err(|why: Fault| self.error(&why))
    }
}

/// A text without anything that has an @ in it.
pub(crate) fn without_addresses(text: &str) -> String {
    without_people(text, &Own::default())
}

/// What is somebody's own: the address, and what is in the cells.
pub(super) fn own(address: Option<&str>, fields: &str) -> Own {
    Own::of(address, rows(fields).iter().flat_map(|(_, cells)| cells).map(String::as_str))
}

/// Each row with its number and its cells.
fn rows(fields: &str) -> Vec<(u64, Vec<String>)> {
    serde_json::from_str(fields).unwrap_or_default()
}

/// Whether a character can be in an address.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || "@.!#$%&'’*+/=?^_`{|}~-…".contains(c)
}

/// A reply without anything that could be somebody's: whatever has an @ in it, and what is the recipient's own.
pub(crate) fn without_people(said: &str, own: &Own) -> String {
    let mut left = String::with_capacity(said.len());
    for line in said.split_inclusive('\n') {
        let (codes, rest) = line.split_at(codes(line));
        left.push_str(codes);
        let mut removed = addresses(rest);
        own.search(rest, &mut |place| removed.push(place));
        removed.sort_unstable_by_key(|place| place.start);
        let mut done = 0;
        for place in removed {
            // One may begin within another.
            if place.start >= done {
                left.push_str(&rest[done..place.start]);
                left.push_str(REMOVED);
            }
            done = done.max(place.end);
        }
        left.push_str(&rest[done..]);
    }
    left
}

/// How long the codes are with which a line of a reply begins: they are nobody's.
fn codes(line: &str) -> usize {
    let is_code =
        |start: &&str| start.ends_with(['-', ' ']) && start.bytes().take(3).all(|digit| digit.is_ascii_digit());
    let Some(code) = line.get(..4).filter(is_code) else { return 0 };
    let rest = &line[code.len()..];
    let word = rest.split([' ', '\r', '\n']).next().unwrap_or_default();
    let mut numbers = word.split('.').map(|number| (1..=3).contains(&number.len()) && number.parse::<u16>().is_ok());
    let is_enhanced = word.starts_with(['2', '4', '5']) && word.split('.').count() == 3 && numbers.all(|is| is);
    code.len() + if is_enhanced { word.len() } else { 0 }
}

/// Where addresses stand: also one that is shortened, and one within another, as bounces and forwarders write it.
fn addresses(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(is_part).map(|start| at + start) {
        at = text[start..].find(|c| !is_part(c)).map_or(text.len(), |length| start + length);
        let word = &text[start..at];
        if ["@", "=40", "%40"].iter().any(|sign| word.contains(sign)) {
            found.push(start..at);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_keeps_all_but_what_is_somebodys() {
        let own = own(
            Some("ada@one.example"),
            "[[2,[\"Ada Lovelace\",\"REF-77\",\"ok\",\"004711\",\"12.03.1985\",\"+44 7700 900123\",\"D’Arcy\",\"O'Brien, Pat\"]]]",
        );
        for (said, left) in [
            ("550 ada=40one.example: <LOVELACE> REF-77 not ok.", "550 [removed]: <[removed]> [removed] not ok."),
            ("550 5.1.1 <ada@one.example>: unknown", "550 5.1.1 <[removed]>: unknown"),
            ("550-ADA@One.Example,\n550 or b@c.example", "550-[removed],\n550 or [removed]"),
            ("550 no mailbox Ada here. adam is", "550 no mailbox [removed] here. adam is"),
            ("250 2.0.0 Ok: queued as 4XJ", "250 2.0.0 Ok: queued as 4XJ"),
            ("550ü", "550ü"),
            ("550 a…@two.example, @two.example", "550 [removed], [removed]"),
            ("550 004711, born 12.03.1985.", "550 [removed], born [removed]."),
            ("550 call +44 7700 900123 or 2026", "550 call +[removed] or 2026"),
            ("550 (D'Arcy) D’Arcy O’Brien", "550 ([removed]) [removed] [removed]"),
            ("550 mx.one.example, someone.example", "550 mx.[removed], someone.example"),
            ("", ""),
        ] {
            assert_eq!(without_people(said, &own), left);
        }
    }

    #[test]
    fn what_is_somebodys_is_found_whatever_stands_around_it_and_in_it() {
        let without = |address: &str, cells: &[&str], said: &str| {
            let fields = serde_json::to_string(&[(2, cells)]).unwrap();
            without_people(said, &own(Some(address), &fields))
        };
        for (address, cells, said, left) in [
            (
                "alice.mcdonald@one.example",
                &["Alice McDonald"][..],
                "550 5.1.1 /var/mail/vhosts/one.example/alice.mcdonald: user=alice.mcdonald, uid=alice.mcdonald,ou=x",
                "550 5.1.1 /var/mail/vhosts/[removed]/[removed]: user=[removed], uid=[removed],ou=x",
            ),
            (
                "bsmith@one.example",
                &["Bo Smith"],
                "550 mailbox/bsmith disabled; DN CN=BSmith,OU=People",
                "550 mailbox/[removed] disabled; DN CN=[removed],OU=People",
            ),
            (
                "cjones@one.example",
                &["John Jones"],
                "550 Access denied for John_Jones; cn=Cjones",
                "550 Access denied for [removed]; cn=[removed]",
            ),
            (
                "dlee@one.example",
                &["Dee Lee"],
                "250 2.0.0 Ok: queued as 4XJdlee mailbox=dlee Q/dlee/1",
                "250 2.0.0 Ok: queued as 4XJdlee mailbox=[removed] Q/[removed]/1",
            ),
            (
                "e@erika-mustermann.example",
                &["Erika Mustermann"],
                "550 Erika_Mustermann, Mustermann-Erika, ErikaMustermann, host mx.erika-mustermann.example",
                "550 [removed], [removed], [removed], host mx.[removed]",
            ),
            (
                "bob_oneil@one.example",
                &["Bob O'Neil"],
                "550 bob_oneil=one.example: ONeil",
                "550 [removed]=[removed]: [removed]",
            ),
            ("ivy@two.example", &["Ivy"], "550 (user=ivy;dom=two.example)", "550 (user=[removed];dom=[removed])"),
            ("c@two.example", &["Çelik Öztürk"], "550 CELIK OZTURK is ÇELİK", "550 [removed] is [removed]"),
            ("kim@two.example", &[], "550 kim&#64;two.example", "550 [removed]&#64;[removed]"),
            (
                "x1@two.example",
                &["07700 900106"],
                "550 5.7.1 +44 (0)7700 900 106 / 00447700900106, not 07711 900107",
                "550 5.7.1 +[removed] / [removed], not 07711 900107",
            ),
            ("y1@two.example", &["550", "5.7.1"], "550-5.7.1 no\r\n550 5.7.1 no", "550-5.7.1 no\r\n550 5.7.1 no"),
            ("z1@two.example", &["王小明", "李四"], "550 用户王小明不在, 李四", "550 用户[removed]不在, [removed]"),
        ] {
            assert_eq!(without(address, cells, said), left);
        }
        for mark in "_&-.+#%/!~*$^|'=:;,([{<\"\\".chars() {
            for said in
                [format!("550 x{mark}wilfreda no"), format!("550 wilfreda{mark}x no"), format!("550 Wilfreda{mark} no")]
            {
                let left = without("w@two.example", &["Wilfreda"], &said);
                assert_eq!(left, said.replace("wilfreda", "[removed]").replace("Wilfreda", "[removed]"));
            }
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
