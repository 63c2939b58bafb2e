//! The files that go with a message, as the front matter names them: attachments, and pictures that the HTML shows.
//!
//! Each lies in the template's directory or below it, whatever a cell says: a value is part of one name, and never a way
//! out of a directory.

use std::{
    fmt,
    path::{Component, Path},
};

use handlebars::{Context, Handlebars};

use super::{
    TemplateProblem,
    directory::{Directory, Found, Located},
    front_matter::line,
    veil::{Stretch, stretches},
};
use crate::{
    address::decomposed,
    diagnostic::{Bare, Complaint, Diagnostics, nearest, quoted},
};

/// A file of the front matter. Path and name are compiled under the names that stand here.
#[derive(Debug)]
pub(super) struct FileTemplate {
    pub(super) path: String,
    pub(super) name: Option<String>,
    /// What the HTML calls it, if it shows it: `cid:logo` (RFC 2392).
    pub(super) content_id: Option<String>,
    pub(super) personal: bool,
    /// The path as the author wrote it.
    pub(super) written: String,
}

/// A file that goes with the message to one person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttachedFile {
    /// From the template's directory on, with `/` between names.
    pub path: String,
    /// The name to show; that of the file if there is none.
    pub name: Option<String>,
    /// What the HTML calls it, if it shows it (RFC 2392).
    pub content_id: Option<String>,
    /// Whether it must not go to anybody else.
    pub personal: bool,
}

impl FileTemplate {
    /// The file for one person; none where the path is empty.
    pub(super) fn render(
        &self,
        places: &Handlebars<'static>,
        headers: &Handlebars<'static>,
        context: &Context,
    ) -> Result<Option<AttachedFile>, TemplateProblem> {
        let path = path_of(&line(places, &self.path, "attachments", context)?)?;
        let name = self.name.as_ref().map(|name| line(headers, name, "attachments", context)).transpose()?;
        let (content_id, personal) = (self.content_id.clone(), self.personal);
        let name = name.filter(|name| !name.is_empty());
        Ok((!path.is_empty()).then_some(AttachedFile { path, name, content_id, personal }))
    }
}

/// A path with its veiled values put in, each as a part of one name.
fn path_of(veiled: &str) -> Result<String, FileProblem> {
    let mut path = String::with_capacity(veiled.len());
    for stretch in stretches(veiled) {
        match stretch {
            Stretch::Author(author) => path.push_str(author),
            Stretch::Value(value) if value.contains(['/', '\\']) || value.contains(char::is_control) => {
                return Err(FileProblem::Value(value));
            }
            Stretch::Value(value) | Stretch::Raw(value) => path.push_str(&value),
        }
    }
    path.truncate(path.trim_end().len());
    if path.is_empty() || is_within(&path) { Ok(path) } else { Err(FileProblem::Path(path)) }
}

/// Whether a path stays in its directory, by its letters alone. Hidden files are nobody's letters.
fn is_within(path: &str) -> bool {
    let plain = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains(char::is_control);
    let normal = |part| matches!(part, Component::Normal(_));
    !path.contains('\\') && path.split('/').all(plain) && Path::new(path).components().all(normal)
}

/// The file that a path means. It lies in the template's directory, and so does what a link leads to.
pub(super) fn find(directory: &Directory, path: &str) -> Result<Found, FileProblem> {
    if !is_within(path) {
        return Err(FileProblem::Path(path.to_owned()));
    }
    if directory.is_nowhere() {
        return Err(FileProblem::Nowhere(path.to_owned()));
    }
    let located = match directory.locate(path) {
        // Some systems write "ü" as two characters.
        Located::Missing => directory.locate(&decomposed(path)),
        located => located,
    };
    match located {
        Located::File(found) => Ok(found),
        Located::Outside => Err(FileProblem::Outside(path.to_owned())),
        Located::NoFile => Err(FileProblem::NoFile(path.to_owned())),
        Located::Missing => {
            let nearest = directory.on_disk().and_then(|directory| like(&directory.join(path)));
            Err(FileProblem::Missing { path: path.to_owned(), tried: directory.place_of(path), nearest })
        }
    }
}

/// Whether a picture can be called so: what a `cid:` address can hold without escapes (RFC 2392).
pub(super) fn is_content_id(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
    (1..=100).contains(&name.len()) && name.bytes().all(plain)
}

/// Whether HTML shows a picture of that name; saying so in a sentence counts, too.
pub(super) fn shows(html: &str, name: &str) -> bool {
    let ends = |rest: &str| !rest.chars().next().is_some_and(|c| is_content_id(c.encode_utf8(&mut [0; 4])));
    let scheme = |at: usize| html.get(at - 3..at).is_some_and(|scheme| scheme.eq_ignore_ascii_case("cid"));
    let colons = html.match_indices(':').map(|(at, _)| at).filter(|at| *at >= 3 && scheme(*at));
    colons.into_iter().any(|at| html[at + 1..].strip_prefix(name).is_some_and(ends))
}

/// The name in its directory that is most like that of a file.
fn like(file: &Path) -> Option<String> {
    let names = names_in(file.parent()?, MOST_LOOKED_AT);
    nearest(file.file_name()?.to_str()?, names.iter().map(String::as_str)).map(str::to_owned)
}

/// So many names are looked at for the one that is meant, for each row that has a wrong one.
const MOST_LOOKED_AT: usize = 1000;

/// The names in a directory that are text and not hidden, if there are not more of them.
pub(crate) fn names_in(directory: &Path, most: usize) -> Vec<String> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let entries = directory.read_dir().into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .take(most.saturating_add(1))
        .collect();
    if names.len() > most {
        names.clear();
    }
    names.sort_unstable();
    names
}

/// What can be wrong with a file that is to go with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileProblem {
    /// A value that would lead elsewhere.
    Value(String),
    Path(String),
    Nowhere(String),
    Missing {
        path: String,
        tried: String,
        nearest: Option<String>,
    },
    Outside(String),
    NoFile(String),
    Unreadable {
        path: String,
        why: String,
    },
    Empty(String),
    TooLarge {
        path: String,
        size: u64,
        most: u64,
    },
    /// What its name says it is, and it is not.
    Kind {
        path: String,
        kind: &'static str,
        begins: String,
    },
    /// Mail programs refuse messages with such files.
    Blocked {
        path: String,
        ending: String,
    },
    NoPicture(String),
    Name(String),
    /// The name to show ends otherwise than that of the file.
    Ending {
        path: String,
        name: String,
    },
    /// The list, the template or the settings
    Ours(String),
    /// Two of one name in one message
    Same(String),
}

impl FileProblem {
    /// That a file cannot be read, with the first reason.
    pub(crate) fn unreadable(path: &str, why: &Diagnostics) -> Self {
        let why = why.iter().next().map_or_else(String::new, |why| why.message().to_owned());
        Self::Unreadable { path: path.to_owned(), why }
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{} cannot be part of a file's name", quoted(value)),
            Self::Path(path) => {
                write!(f, "{} is not the path of a file below the template's directory", quoted(path))
            }
            Self::Nowhere(path) => write!(f, "there is no directory to look for the file {} in", quoted(path)),
            Self::Missing { path, .. } => write!(f, "there is no file {}", quoted(path)),
            Self::Outside(path) => write!(f, "the file {} lies outside of the template's directory", quoted(path)),
            Self::NoFile(path) => write!(f, "{} is no file", quoted(path)),
            Self::Unreadable { path, why } => write!(f, "the file {} cannot be read: {why}", quoted(path)),
            Self::Empty(path) => write!(f, "the file {} is empty", quoted(path)),
            Self::TooLarge { path, size, most } => {
                write!(f, "the file {} has {size} bytes, and a message may have {most}", quoted(path))
            }
            Self::Kind { path, kind, begins } => {
                write!(f, "the file {} is no {kind}: it begins with {}", quoted(path), quoted(begins))
            }
            Self::Blocked { path, ending } => {
                write!(f, "the file {} will not arrive: mail programs refuse .{ending} files", quoted(path))
            }
            Self::NoPicture(path) => {
                write!(f, "the file {} is no picture, and only a picture can be shown", quoted(path))
            }
            Self::Ending { path, name } => {
                write!(f, "the file {} would be called {}, which ends otherwise", quoted(path), quoted(name))
            }
            Self::Ours(path) => write!(f, "the file {} is of the campaign itself, and is never sent", quoted(path)),
            Self::Same(name) => write!(f, "two files of the message would be called {}", quoted(name)),
            Self::Name(name) => write!(f, "{} cannot be the name of a file", quoted(name)),
        }
    }
}

impl Complaint for FileProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Value(_) | Self::Path(_) | Self::Nowhere(_) | Self::Outside(_) | Self::NoFile(_) => "file.path",
            Self::Missing { .. } => "file.missing",
            Self::Unreadable { .. } => "file.unreadable",
            Self::Empty(_) => "file.empty",
            Self::TooLarge { .. } => "file.too-large",
            Self::Kind { .. } | Self::NoPicture(_) => "file.kind",
            Self::Blocked { .. } => "file.blocked",
            Self::Name(_) | Self::Ending { .. } | Self::Same(_) => "file.name",
            Self::Ours(_) => "file.ours",
        }
    }

    /// Files are often named after people, or by a cell.
    fn bare(&self) -> Bare {
        let message = match self {
            Self::Value(_) => "a value cannot be part of a file's name".into(),
            Self::Path(_) => "this is not the path of a file below the template's directory".into(),
            Self::Nowhere(_) => "there is no directory to look for the file in".into(),
            Self::Missing { .. } => "a file is not there".into(),
            Self::Outside(_) => "a file lies outside of the template's directory".into(),
            Self::NoFile(_) => "this is no file".into(),
            Self::Unreadable { .. } => "a file cannot be read".into(),
            Self::Empty(_) => "a file is empty".into(),
            Self::TooLarge { size, most, .. } => format!("a file has {size} bytes, and a message may have {most}"),
            Self::Kind { kind, .. } => format!("a file is no {kind}"),
            Self::Blocked { .. } => "a file will not arrive: mail programs refuse files with such an ending".into(),
            Self::NoPicture(_) => "a file is no picture, and only a picture can be shown".into(),
            Self::Ending { .. } => "a file would be called by a name which ends otherwise".into(),
            Self::Ours(_) => "a file is of the campaign itself, and is never sent".into(),
            Self::Same(_) => "two files of the message would be called the same".into(),
            Self::Name(_) => "this cannot be the name of a file".to_owned(),
        };
        let help = match self {
            Self::Missing { .. } => Some("put it there, or correct its name".into()),
            _ => self.help(),
        };
        Bare::said(message, help)
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Value(_) => "a cell gives one name, without / or \\; the directory is written in the template".into(),
            Self::Path(_) | Self::Outside(_) => "put the file, or a copy, beside the template".into(),
            Self::Missing { nearest: Some(nearest), .. } => format!("did you mean {}?", quoted(nearest)),
            Self::Missing { tried, .. } => format!("it would be the file {tried}"),
            Self::TooLarge { .. } => {
                "make it smaller, or permit more with --max-message-size (max_message_size under [send] in campaign.toml)"
                    .into()
            }
            Self::Kind { .. } => "open it and look: it may be a page that says something went wrong".into(),
            Self::Blocked { .. } => "send another kind of file".into(),
            Self::Name(_) => "a name has at most 200 characters, which can be seen, without / or \\".into(),
            Self::Ending { .. } => "give the name the ending of the file".into(),
            Self::Same(_) => "name one of them: { file = \"…\", name = \"…\" }".into(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::veil::veil;

    #[test]
    fn a_value_is_part_of_one_name() {
        let path = |value: &str| path_of(&format!("letters/{}.pdf", veil(value)));
        assert_eq!(path("AB 1/2026".split('/').next().unwrap()), Ok("letters/AB 1.pdf".into()));
        assert_eq!(path("..ü"), Err(FileProblem::Path("letters/..ü.pdf".into())));
        for evil in ["../../etc/passwd", "a/b", "a\\b", "a\0", "a\nb"] {
            assert_eq!(path(evil), Err(FileProblem::Value(evil.into())), "{evil}");
        }
        for hidden in ["", ".", "..", ".ssh"] {
            assert!(path_of(&format!("{}/x", veil(hidden))).is_err(), "{hidden}");
        }
        assert_eq!(path_of(&veil("")), Ok(String::new()));
    }

    #[test]
    fn what_is_not_below_the_directory_is_not_found() {
        let directory = tempfile::tempdir().unwrap();
        let within = Directory::At(directory.path().to_owned());
        let at = |path: &str| find(&within, path);
        std::fs::create_dir(directory.path().join("letters")).unwrap();
        std::fs::write(directory.path().join("letters/u\u{308}ber.pdf"), "x").unwrap();
        assert!(at("letters/über.pdf").unwrap().on_disk().unwrap().ends_with("letters/u\u{308}ber.pdf"));
        assert!(matches!(at("letters"), Err(FileProblem::NoFile(_))));
        for outside in ["../x", "/etc/hostname", "letters/../../x", "letters//x", "./x", ""] {
            assert!(matches!(at(outside), Err(FileProblem::Path(_))), "{outside}");
        }
        let Err(FileProblem::Missing { nearest, .. }) = at("letters/uber.pdf") else { panic!() };
        assert_eq!(nearest.as_deref(), Some("u\u{308}ber.pdf"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/etc/hostname", directory.path().join("link")).unwrap();
            assert!(matches!(at("link"), Err(FileProblem::Outside(_))));
        }
    }
}
