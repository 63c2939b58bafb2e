//! Where the files of a template are: in a directory, or in a record, as they were when the campaign was prepared.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::source_of;
use crate::{
    campaign::{as_text, read_bytes, unreadable},
    diagnostic::{Diagnostics, Source},
};

/// Files as they were when a campaign was prepared, by their paths from the template's directory on.
pub trait Frozen: fmt::Debug + Send + Sync {
    /// The bytes of one; none if there is no such file.
    fn read(&self, path: &str) -> Option<io::Result<Vec<u8>>>;
}

/// Where the files of a template are.
#[derive(Debug, Clone, Default)]
pub(crate) enum Directory {
    /// It is no file itself.
    #[default]
    Nowhere,
    At(PathBuf),
    Frozen(Arc<dyn Frozen>),
}

/// What there is of a name.
pub(super) enum Located {
    Missing,
    /// What it leads to lies elsewhere.
    Outside,
    NoFile,
    File(Found),
}

/// A file that was found.
#[derive(Debug)]
pub(crate) enum Found {
    OnDisk(PathBuf),
    Frozen { name: String, bytes: io::Result<Vec<u8>> },
}

impl Directory {
    /// The file of a name that stays within the directory by its letters; so must what a link leads to.
    pub(super) fn locate(&self, name: &str) -> Located {
        match self {
            Self::Nowhere => Located::Missing,
            Self::At(directory) => {
                let path = directory.join(name);
                if !path.exists() {
                    Located::Missing
                } else if !is_below(directory, &path) {
                    Located::Outside
                } else if !path.is_file() {
                    Located::NoFile
                } else {
                    Located::File(Found::OnDisk(path))
                }
            }
            Self::Frozen(files) => match files.read(name) {
                Some(bytes) => Located::File(Found::Frozen { name: name.to_owned(), bytes }),
                None => Located::Missing,
            },
        }
    }

    /// Whether there is none.
    pub(super) fn is_nowhere(&self) -> bool {
        matches!(self, Self::Nowhere)
    }

    /// The one on the disk.
    pub(crate) fn on_disk(&self) -> Option<&Path> {
        match self {
            Self::At(directory) => Some(directory),
            _ => None,
        }
    }

    /// Where a file of a name would be, for a complaint.
    pub(super) fn place_of(&self, name: &str) -> String {
        self.on_disk().map_or_else(|| name.to_owned(), |directory| directory.join(name).display().to_string())
    }

    /// The path from the directory on of a source that was read in it.
    pub(super) fn path_of<'s>(&self, source: &'s Source) -> &'s str {
        let name = source.name();
        let Some(directory) = self.on_disk() else { return name };
        let path = name.strip_prefix(&*directory.display().to_string()).unwrap_or(name);
        path.trim_start_matches(std::path::is_separator)
    }
}

impl Found {
    /// Where it is on the disk, if it is there.
    pub(crate) fn on_disk(&self) -> Option<&Path> {
        match self {
            Self::OnDisk(path) => Some(path),
            Self::Frozen { .. } => None,
        }
    }

    /// Octets, as far as they are known.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::OnDisk(path) => path.metadata().map_or(0, |data| data.len()),
            Self::Frozen { bytes, .. } => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
        }
    }

    /// Its content, of which there must not be more than `most` bytes.
    pub(crate) fn read(self, most: u64) -> Result<Vec<u8>, Diagnostics> {
        match self {
            Self::OnDisk(path) => read_bytes(&path, most),
            Self::Frozen { name, bytes } => bytes.map_err(|why| unreadable(Path::new(&name), why)),
        }
    }

    /// A template, partial, layout or text part.
    pub(super) fn source(self) -> Result<Arc<Source>, Diagnostics> {
        let name = match &self {
            Self::OnDisk(path) => path.display().to_string(),
            Self::Frozen { name, .. } => name.clone(),
        };
        Ok(source_of(&name, &as_text(Path::new(&name), self.read(super::MOST_BYTES)?)?))
    }
}

/// Whether a file lies in a directory or below it, and so does what a link leads to.
fn is_below(directory: &Path, file: &Path) -> bool {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    match (directory.canonicalize(), file.canonicalize()) {
        (Ok(directory), Ok(file)) => file.starts_with(&directory),
        _ => false,
    }
}
