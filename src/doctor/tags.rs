//! Lists of `tag=value`, as DKIM and DMARC records are written (RFC 6376 §3.2, RFC 9989 §4.8).

use crate::diagnostic::quoted;

/// The tags of a record, in their order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tags<'t>(Vec<(&'t str, &'t str)>);

impl<'t> Tags<'t> {
    /// Reads all; what is wrong, if anything is.
    pub(super) fn parse(record: &'t str) -> Result<Self, String> {
        let mut tags: Vec<(&str, &str)> = Vec::new();
        for part in record.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("{} has no =", quoted(part)))?;
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(format!("{} is no tag", quoted(name)));
            }
            if tags.iter().any(|(known, _)| *known == name) {
                return Err(format!("the tag {name} stands there twice"));
            }
            tags.push((name, value));
        }
        Ok(Self(tags))
    }

    /// The value of a tag.
    pub(super) fn get(&self, name: &str) -> Option<&'t str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The first tag.
    pub(super) fn first(&self) -> Option<(&'t str, &'t str)> {
        self.0.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_they_are_written_and_slips_are_named() {
        let tags = Tags::parse(" v = DMARC1 ;p=none; rua=mailto:a@b.example;; ").unwrap();
        assert_eq!(tags.first(), Some(("v", "DMARC1")));
        assert_eq!((tags.get("p"), tags.get("rua"), tags.get("x")), (Some("none"), Some("mailto:a@b.example"), None));
        for (wrong, why) in [
            ("v=DMARC1; p", "\"p\" has no ="),
            ("v=DMARC1; p=none; p=none", "the tag p stands there twice"),
            ("v=DMARC1; p:x=none", "\"p:x\" is no tag"),
        ] {
            assert_eq!(Tags::parse(wrong), Err(why.into()));
        }
    }
}
