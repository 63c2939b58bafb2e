//! Messages to look at, before anybody gets one: in the terminal, or as files for a mail program.

mod compare;
mod files;
mod terminal;

pub use self::{
    compare::compare,
    files::{Files, FilesError},
    terminal::as_received,
};
