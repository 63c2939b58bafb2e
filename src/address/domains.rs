//! Domains of the large mail providers, and slips of the keyboard in them.

/// Providers whose domains are mistyped often enough to be worth a word.
const COMMON: &[&str] = &[
    "aol.com",
    "bluewin.ch",
    "btinternet.com",
    "comcast.net",
    "email.de",
    "freenet.de",
    "gmail.com",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.de",
    "hotmail.fr",
    "hotmail.it",
    "icloud.com",
    "laposte.net",
    "libero.it",
    "live.co.uk",
    "live.com",
    "msn.com",
    "ntlworld.com",
    "orange.fr",
    "outlook.com",
    "outlook.de",
    "protonmail.com",
    "sbcglobal.net",
    "t-online.de",
    "talktalk.net",
    "verizon.net",
    "virginmedia.com",
    "wanadoo.fr",
    "yahoo.co.uk",
    "yahoo.com",
    "yahoo.de",
    "yahoo.es",
    "yahoo.fr",
    "yahoo.it",
];

/// Domains of others that are one keystroke away from a common one.
const OTHERS: &[&str] = &[
    "aol.co.uk",
    "aol.de",
    "aol.fr",
    "aol.it",
    "fmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.co",
    "gmx.eu",
    "gmx.fr",
    "gmx.us",
    "hotmail.at",
    "hotmail.be",
    "hotmail.ca",
    "hotmail.ch",
    "hotmail.es",
    "hotmail.nl",
    "hotmail.no",
    "hotmail.se",
    "libero.io",
    "live.at",
    "live.be",
    "live.ca",
    "live.co",
    "live.de",
    "live.dk",
    "live.fr",
    "live.it",
    "live.nl",
    "live.no",
    "live.se",
    "mail.com",
    "mail.de",
    "mns.com",
    "olive.com",
    "orange.es",
    "orange.pl",
    "outlook.at",
    "outlook.be",
    "outlook.dk",
    "outlook.es",
    "outlook.fr",
    "outlook.it",
    "yahoo.at",
    "yahoo.be",
    "yahoo.ca",
    "yahoo.dk",
    "yahoo.ie",
    "yahoo.in",
    "yahoo.no",
    "yahoo.pl",
    "yahoo.ro",
    "yahoo.se",
    "ymail.com",
];

/// Endings of domains that are none, and what they were meant to be.
const ENDINGS: &[(&str, &str)] = &[
    (".cim", ".com"),
    (".cmo", ".com"),
    (".com.com", ".com"),
    (".co.ku", ".co.uk"),
    (".comm", ".com"),
    (".con", ".com"),
    (".coom", ".com"),
    (".couk", ".co.uk"),
    (".cpm", ".com"),
    (".ner", ".net"),
    (".nett", ".net"),
    (".nte", ".net"),
    (".ocm", ".com"),
    (".ogr", ".org"),
    (".orgg", ".org"),
    (".rog", ".org"),
    (".vom", ".com"),
    (".xom", ".com"),
];

/// Names that are too short to tell a slip from another name.
const LEAST_LENGTH: usize = 7;

/// The letters of a name as bits; one keystroke changes at most two of them.
const fn letters(domain: &str) -> u32 {
    let bytes = domain.as_bytes();
    let (mut bits, mut nth) = (0, 0);
    while nth < bytes.len() {
        bits |= 1 << (bytes[nth].to_ascii_lowercase() & 31);
        nth += 1;
    }
    bits
}

/// [`letters`] of the common ones.
const LETTERS: [u32; COMMON.len()] = {
    let mut table = [0; COMMON.len()];
    let mut nth = 0;
    while nth < COMMON.len() {
        table[nth] = letters(COMMON[nth]);
        nth += 1;
    }
    table
};

/// The domain that was probably meant: a common one that is one keystroke away, or the same with an ending that there
/// is.
pub(crate) fn probably_meant(domain: &str) -> Option<String> {
    if let Some(common) = common(domain) {
        return Some(common.to_owned());
    }
    let ends = |ending: &str| {
        let start = domain.len().checked_sub(ending.len()).filter(|start| *start > 0)?;
        domain.get(start..)?.eq_ignore_ascii_case(ending).then(|| &domain[..start])
    };
    ENDINGS.iter().find_map(|(ending, meant)| Some(format!("{}{meant}", ends(ending)?)))
}

/// The common domain that is one keystroke away from this one, if this one is nobody's that we know.
fn common(domain: &str) -> Option<&'static str> {
    if !(LEAST_LENGTH - 1..=24).contains(&domain.len()) {
        return None;
    }
    let bits = letters(domain);
    let close = |nth: &usize| {
        (LETTERS[*nth] ^ bits).count_ones() <= 2
            && COMMON[*nth].len().abs_diff(domain.len()) <= 1
            && COMMON[*nth].len() >= LEAST_LENGTH
    };
    let mut close = (0..COMMON.len()).filter(close).peekable();
    close.peek()?;
    let domain = domain.to_ascii_lowercase();
    if COMMON.contains(&domain.as_str()) || OTHERS.contains(&domain.as_str()) {
        return None;
    }
    close.map(|nth| COMMON[nth]).find(|common| strsim::osa_distance(&domain, common) == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_neighbours_left_alone() {
        for (slip, meant) in [
            ("gmial.com", "gmail.com"),
            ("Gmail.con", "gmail.com"),
            ("gmail.co", "gmail.com"),
            ("gmai.com", "gmail.com"),
            ("hotmial.com", "hotmail.com"),
            ("hotmail.co.ku", "hotmail.co.uk"),
            ("outlok.com", "outlook.com"),
            ("yaho.com", "yahoo.com"),
            ("t-onlin.de", "t-online.de"),
            ("icloud.cm", "icloud.com"),
            ("btinternet.co", "btinternet.com"),
            ("police.con", "police.com"),
            ("Clinic.OGR", "Clinic.org"),
            ("school.co.ku", "school.co.uk"),
        ] {
            assert_eq!(probably_meant(slip).as_deref(), Some(meant), "{slip}");
        }
        for domain in
            COMMON.iter().chain(OTHERS).chain(&["police.example", "web.de", "gmx.li", "x.org", "hushmail.com"])
        {
            assert_eq!(probably_meant(domain), None, "{domain}");
        }
    }
}
