//! What to publish in place of a record that is not as it should be.

use super::record::{Mechanism, Record, Says, modifier, term_of, words};

/// Where a person has to put something in.
const GAP: &str = "…";

/// Whether a word can stand in a record.
pub(super) fn is_right(word: &str) -> bool {
    Record::parse(&format!("v=spf1 {word}")).is_ok()
}

/// The record with its end where it belongs, one that leaves nothing open, and gaps in place of some words and of wrong ones.
pub(super) fn mended(text: &str, gaps: &[&str]) -> String {
    let (mut kept, mut end, mut redirect): (Vec<&str>, Option<Says>, Option<&str>) = (Vec::new(), None, None);
    for word in words(text) {
        let word = if gaps.contains(&word) || !is_right(word) { GAP } else { word };
        match (all_of(word), redirect_of(word)) {
            (Some(says), _) => end = end.or(Some(says)),
            (None, Some(_)) => redirect = redirect.or(Some(word)),
            _ if kept.contains(&word) => {}
            _ => kept.push(word),
        }
    }
    let end = match (end, redirect) {
        (Some(Says::Fail), _) => "-all",
        // A redirect counts only where there is no `all` (RFC 7208 §6.1).
        (None, Some(redirect)) => redirect,
        _ => "~all",
    };
    let kept = kept.iter().fold("v=spf1".to_owned(), |all, word| all + " " + word);
    format!("{kept} {end}")
}

/// The same, with what it leads to in place of a redirect, so that it ends by itself.
pub(super) fn closed(text: &str, gaps: &[&str]) -> String {
    let included = words(text).map(|word| match redirect_of(word) {
        Some(to) if !gaps.contains(&word) => format!("include:{to}"),
        _ => word.to_owned(),
    });
    let text = included.fold("v=spf1".to_owned(), |all, word| all + " " + &word);
    mended(&text, gaps)
}

/// One record with the terms of several; it refuses others if all of them do.
pub(super) fn merged(records: &[String]) -> String {
    let ends: Vec<Says> = records.iter().filter_map(|text| words(text).find_map(all_of)).collect();
    let refuse = !ends.is_empty() && ends.iter().all(|says| *says == Says::Fail);
    let is_end = |word: &&str| all_of(word).is_some();
    let terms = records.iter().flat_map(|text| words(text).filter(|word| !is_end(word)));
    let text = terms.fold("v=spf1".to_owned(), |all, word| all + " " + word);
    closed(&(text + if refuse { " -all" } else { " ~all" }), &[])
}

/// Whether it lets anybody send, or has a gap for whom.
pub(super) fn names_somebody(text: &str) -> bool {
    words(text).any(|word| word == GAP || (modifier(word).is_none() && all_of(word).is_none()))
}

/// What it says of everybody else, if it is an `all`.
fn all_of(word: &str) -> Option<Says> {
    match term_of(word) {
        Ok((says, Mechanism::All)) => Some(says),
        _ => None,
    }
}

/// What stands behind the end of a record, and so counts for nothing.
pub(super) fn behind(text: &str) -> Vec<&str> {
    let after = words(text).skip_while(|word| all_of(word).is_none()).skip(1);
    // A modifier may stand anywhere; a redirect counts for nothing wherever it stands.
    let terms = |word: &&str| modifier(word).is_none() || redirect_of(word).is_some();
    after.filter(terms).collect()
}

/// Whether it does not end by itself.
pub(super) fn ends_open(text: &str) -> bool {
    words(text).all(|word| all_of(word).is_none())
}

/// Where it leads, if it is a redirect.
pub(super) fn redirect_of(word: &str) -> Option<&str> {
    modifier(word).filter(|(name, _)| name.eq_ignore_ascii_case("redirect")).map(|(_, to)| to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_published_is_whole() {
        for (text, gaps, record) in [
            ("v=spf1 ip4:192.0.2.1", &[][..], "v=spf1 ip4:192.0.2.1 ~all"),
            ("v=spf1 ip4:192.0.2.1 ?all", &[], "v=spf1 ip4:192.0.2.1 ~all"),
            ("v=spf1  a -all mx a exp=e.example", &[], "v=spf1 a mx exp=e.example -all"),
            ("v=spf1 ip4:192.0.2.1/33 a -all", &[], "v=spf1 … a -all"),
            ("v=spf1 ptr mx ~all", &["ptr"], "v=spf1 … mx ~all"),
            ("v=spf1 a redirect=x.example redirect=y.example", &[], "v=spf1 a redirect=x.example"),
            ("v=spf1 a redirect=x.example -all", &[], "v=spf1 a -all"),
        ] {
            assert_eq!(mended(text, gaps), record, "{text}");
        }
        assert_eq!(closed("v=spf1 a redirect=x.example", &[]), "v=spf1 a include:x.example ~all");
        assert_eq!(closed("v=spf1 a redirect=x.example", &["redirect=x.example"]), "v=spf1 a … ~all");
        let both = ["v=spf1 a include:x.example -all", "v=spf1 a redirect=y.example"].map(str::to_owned);
        assert_eq!(merged(&both), "v=spf1 a include:x.example include:y.example -all");
        let both = ["v=spf1 a -all", "v=spf1 mx ~all"].map(str::to_owned);
        assert_eq!(merged(&both), "v=spf1 a mx ~all");
        assert!(!names_somebody("v=spf1 exp=e.example -all") && names_somebody("v=spf1 mx -all"));
        assert_eq!(behind("v=spf1 a -all mx exp=e.example redirect=x.example"), ["mx", "redirect=x.example"]);
        assert!(behind("v=spf1 a mx -all").is_empty());
    }
}
