//! Messages to look at, before anybody gets one: in the terminal, as files for a mail program, or as pages for a browser
//! ([`gallery`]).

mod compare;
mod files;
pub mod gallery;
mod terminal;
mod ways;

pub use self::{
    compare::compare,
    files::{Files, FilesError},
    terminal::as_received,
    ways::{Way, Ways},
};
