//! Without PostgreSQL nobody else has connections of an account that could be counted.

use std::sync::Arc;

use super::{Campaign, StoreError};
use crate::outbox::database::Location;

/// The connections that one run may have of those that others share. There are no others.
#[derive(Debug)]
pub enum Places {}

/// The right to one of them.
#[derive(Debug)]
pub enum OpenPlace {}

impl OpenPlace {
    /// Whether somebody else may have it by now.
    #[must_use]
    pub fn is_old(&self) -> bool {
        match *self {}
    }
}

impl Places {
    #[allow(clippy::unnecessary_wraps, reason = "where others share them it can fail")]
    pub(super) fn open(
        _: &Location,
        _: &str,
        _: &Campaign,
        _: (usize, Option<usize>),
    ) -> Result<Option<Arc<Self>>, StoreError> {
        Ok(None)
    }

    /// The right to open one more connection, if there is one now.
    pub fn take(self: &Arc<Self>) -> Result<Option<OpenPlace>, StoreError> {
        match **self {}
    }

    /// How many connections are this one's when all that want some have equally many.
    pub fn share(&self) -> Result<usize, StoreError> {
        match *self {}
    }

    /// Whether another wanted one and had none when the share was looked at.
    #[must_use]
    pub fn is_short(&self) -> bool {
        match *self {}
    }
}
