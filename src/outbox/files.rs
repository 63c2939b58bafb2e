//! Personal files across a whole campaign: none goes to two people, and none is forgotten.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

use crate::{
    address::composed,
    diagnostic::{Bare, Complaint, Diagnostic, Diagnostics, Place, counted, quoted},
    message::{Composer, PersonalFile},
    recipients::Selection,
    template::names_in,
};

/// A letter for each person may lie in a directory for each person; so many are looked through for what is left over.
const MOST_DIRECTORIES: usize = 100;

/// So many files are named.
const SHOWN: usize = 5;

/// The personal files of some messages.
#[derive(Debug, Default)]
pub(super) struct Seen {
    files: Vec<File>,
    /// Where they are, and how their names end.
    places: BTreeSet<(String, String)>,
}

/// Small, since there are as many as recipients: no names, which can be found again.
#[derive(Debug)]
struct File {
    /// Whose it is, in the list
    index: usize,
    /// The nth of that message's personal files
    nth: usize,
    content: [u8; 16],
    path: u64,
}

impl Seen {
    pub(super) fn add(&mut self, index: usize, files: &[PersonalFile]) {
        for (nth, file) in files.iter().enumerate() {
            let mut content = [0; 16];
            content.copy_from_slice(&file.digest[..16]);
            self.files.push(File { index, nth, content, path: hash(&file.path) });
            if self.places.len() <= MOST_DIRECTORIES {
                self.places.insert(place_of(&file.path));
            }
        }
    }

    /// Adds those of everybody who is not among `indices`: a file of theirs must not go to one of these.
    pub(super) fn add_others(&mut self, composer: &Composer, indices: &Selection) {
        for index in (0..composer.list().len()).filter(|index| !indices.contains(*index)) {
            self.add(index, &composer.personal_files(index));
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.files.extend(other.files);
        self.places.extend(other.places);
    }

    /// What the nth personal file of the person at `index` began with, as SHA-256 has it; none if there was no such file.
    pub(super) fn content(&self, index: usize, nth: usize) -> Option<[u8; 16]> {
        // They are in the order of the messages.
        let start = self.files.partition_point(|file| file.index < index);
        let own = self.files[start..].iter().take_while(|file| file.index == index);
        own.filter(|file| file.nth == nth).map(|file| file.content).next()
    }

    /// Complains about each file that goes to a second person. The same content is the same file, whatever its name.
    pub(super) fn check(&self, composer: &Composer, problems: &mut Diagnostics) {
        let shared = composer.shared_files();
        let path_of = |file: &File| {
            composer.personal_files(file.index).into_iter().nth(file.nth).map(|file| file.path).unwrap_or_default()
        };
        let mut owners: HashMap<[u8; 16], &File> = HashMap::with_capacity(self.files.len());
        for file in &self.files {
            if let Some((shared, _)) = shared.iter().find(|(_, digest)| digest[..16] == file.content)
                && let Some(own) = composer.list().get(file.index)
            {
                let problem = FilesProblem::Shared { path: path_of(file), shared: shared.clone() };
                problems.push(Diagnostic::error(own.place(), &problem));
            }
            let first = *owners.entry(file.content).or_insert(file);
            if first.index == file.index {
                continue;
            }
            let Some((other, own)) = composer.list().get(first.index).zip(composer.list().get(file.index)) else {
                continue;
            };
            let problem = FilesProblem::Twice { path: path_of(file), first: path_of(first), row: other.row() };
            problems.push(Diagnostic::error(own.place(), &problem));
        }
    }

    /// What lies beside the personal files of all messages and is like them, and goes to nobody.
    pub(super) fn left_over(&self, composer: &Composer, remarks: &mut Diagnostics) {
        let Some(root) = composer.template().directory() else { return };
        if self.places.len() > MOST_DIRECTORIES {
            return;
        }
        let shared = composer.shared_files();
        let used: HashSet<u64> = self.files.iter().map(|file| file.path).collect();
        for (directory, ending) in &self.places {
            let path = |name: &str| if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
            let is_left = |name: &String| {
                let path = path(name);
                place_of(&path).1 == *ending
                    && !used.contains(&hash(&composed(&path)))
                    && !shared.iter().any(|(shared, _)| *shared == path)
                    && root.join(&path).is_file()
            };
            let left: Vec<String> = names_in(&root.join(directory), usize::MAX).into_iter().filter(is_left).collect();
            if !left.is_empty() {
                let problem = FilesProblem::Nobody { directory: directory.clone(), names: left };
                remarks.push(Diagnostic::warning(Place::Nowhere, &problem));
            }
        }
    }
}

/// The directory of a path, and the ending of its name.
fn place_of(path: &str) -> (String, String) {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let ending = Path::new(name).extension().map(|ending| ending.to_string_lossy().to_lowercase());
    (directory.to_owned(), ending.unwrap_or_default())
}

fn hash(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// What can be wrong with personal files.
#[derive(Debug)]
enum FilesProblem {
    Twice { path: String, first: String, row: u64 },
    Shared { path: String, shared: String },
    Nobody { directory: String, names: Vec<String> },
}

impl fmt::Display for FilesProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice { path, first, row } if path == first => {
                write!(f, "the personal file {} goes to row {row}, too", quoted(path))
            }
            Self::Twice { path, first, row } => {
                write!(
                    f,
                    "the personal file {} is the same as {}, which goes to row {row}",
                    quoted(path),
                    quoted(first)
                )
            }
            Self::Shared { path, shared } if path == shared => {
                write!(f, "the personal file {} goes to everybody, too", quoted(path))
            }
            Self::Shared { path, shared } => {
                write!(
                    f,
                    "the personal file {} is the same as {}, which goes to everybody",
                    quoted(path),
                    quoted(shared)
                )
            }
            Self::Nobody { directory, names } => {
                let shown: Vec<String> = names.iter().take(SHOWN).map(|name| quoted(name)).collect();
                write!(f, "{} in ", counted(names.len(), "file"))?;
                match directory.as_str() {
                    "" => f.write_str("the template's directory"),
                    directory => f.write_str(&quoted(directory)),
                }?;
                let verb = if names.len() == 1 { "goes" } else { "go" };
                write!(f, " {verb} to nobody: {}", shown.join(", "))?;
                match names.len().saturating_sub(SHOWN) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
        }
    }
}

impl Complaint for FilesProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Twice { .. } | Self::Shared { .. } => "file.two-people",
            Self::Nobody { .. } => "file.nobody",
        }
    }

    fn bare(&self) -> Bare {
        Bare::said(self.brief().unwrap_or_default(), self.help())
    }

    /// Files are often named after people.
    fn brief(&self) -> Option<String> {
        Some(match self {
            Self::Twice { row, .. } => format!("the personal file is one that goes to row {row}, too"),
            Self::Shared { .. } => "the personal file is one that goes to everybody, too".into(),
            Self::Nobody { names, .. } => {
                format!("{} beside the personal ones go to nobody", counted(names.len(), "file"))
            }
        })
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Twice { .. } | Self::Shared { .. } => {
                "give each person a file; one that several may get is named in the front matter as \
                 { file = \"…\", shared = true }"
                    .into()
            }
            Self::Nobody { .. } => "is somebody missing from the list, or a file of another campaign here?".into(),
        })
    }
}
