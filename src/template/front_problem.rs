//! What can be wrong with keys of the front matter.

use std::fmt;

use crate::diagnostic::{Bare, Complaint, quoted};

/// What can be wrong with a value of the front matter, by itself.
#[derive(Debug)]
pub(crate) enum FrontProblem {
    Language(String),
    TwoAuthors(&'static str),
    ToHasAddress,
    TextForText,
    TextTemplate(String),
    TextFrontMatter,
    RawInText,
    PictureInText,
    ContentId(String),
    NoPicture { name: String, known: Vec<String> },
    PictureUnused(String),
    Unsubscribe(String),
    UnsubscribeAll,
}

impl fmt::Display for FrontProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Language(tag) => write!(f, "{} is not a language that is known", quoted(tag)),
            Self::TwoAuthors(key) => write!(f, "\"{key}\" holds more than one address"),
            Self::ToHasAddress => {
                f.write_str("\"to\" is only the name to show; the address always is the recipient's own")
            }
            Self::TextForText => f.write_str("the template is the text already"),
            Self::TextTemplate(name) => {
                write!(f, "{} is not the name of a .txt.hbs file below the template's directory", quoted(name))
            }
            Self::TextFrontMatter => f.write_str("the text of a message has no front matter of its own"),
            Self::RawInText => f.write_str("plain text holds no HTML"),
            Self::PictureInText => f.write_str("plain text shows no pictures"),
            Self::ContentId(name) => write!(f, "a picture cannot be called {}", quoted(name)),
            Self::NoPicture { name, .. } => write!(f, "the message shows cid:{name}, and brings no such picture along"),
            Self::PictureUnused(name) => write!(f, "the HTML does not show cid:{name}"),
            Self::Unsubscribe(address) => {
                write!(f, "nobody can unsubscribe at {}: a https:// or mailto: address is wanted", quoted(address))
            }
            Self::UnsubscribeAll => f.write_str("everybody would have the same address for unsubscribing"),
        }
    }
}

impl Complaint for FrontProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Language(_) => "template.language",
            Self::TwoAuthors(_) => "template.author-address",
            Self::ToHasAddress => "template.to-has-address",
            Self::TextForText | Self::TextTemplate(_) | Self::TextFrontMatter => "template.text-template",
            Self::RawInText => "template.raw",
            Self::PictureInText | Self::ContentId(_) | Self::NoPicture { .. } | Self::PictureUnused(_) => {
                "template.picture"
            }
            Self::Unsubscribe(_) | Self::UnsubscribeAll => "template.unsubscribe",
        }
    }

    fn bare(&self) -> Bare {
        let message = match self {
            Self::Language(_) => "this is not a language that is known",
            Self::NoPicture { .. } => "the message shows a picture with cid:, and brings no such picture along",
            Self::Unsubscribe(_) => "nobody can unsubscribe there: a https:// or mailto: address is wanted",
            Self::TwoAuthors(_)
            | Self::ToHasAddress
            | Self::TextForText
            | Self::TextTemplate(_)
            | Self::TextFrontMatter
            | Self::RawInText
            | Self::PictureInText
            | Self::ContentId(_)
            | Self::PictureUnused(_)
            | Self::UnsubscribeAll => return Bare::Whole,
        };
        Bare::said(message, self.help())
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Language(_) => "write a tag such as \"en-GB\", \"de\" or \"fr\"".into(),
            Self::ToHasAddress => "for example: to = \"{{name}}\"".into(),
            Self::TextForText | Self::RawInText => "take it out".into(),
            Self::TextFrontMatter => "take it out: the message has that of the template that names this file".into(),
            Self::ContentId(_) => "use letters, digits, and . _ - @".into(),
            Self::PictureInText => "attach it, or name the template .md.hbs or .html.hbs".into(),
            Self::NoPicture { known, .. } if known.is_empty() => {
                "name it in the front matter:\n\n[inline]\nlogo = \"logo.png\"\n".into()
            }
            Self::NoPicture { known, .. } => format!("[inline] in the front matter has {}", known.join(", ")),
            Self::PictureUnused(name) => format!("take it out, or show it: <img src=\"cid:{name}\" alt=\"…\">"),
            Self::UnsubscribeAll => {
                "a mail program asks there without saying for whom (RFC 8058): put a column in that tells, which nobody can guess, \
                 https://…/{{token}}"
                    .into()
            }
            Self::TwoAuthors(_) | Self::TextTemplate(_) | Self::Unsubscribe(_) => return None,
        })
    }
}
