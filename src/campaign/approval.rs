//! `[approval]`: how many must have looked at a campaign before it is sent, and who may.

use std::path::{Path, PathBuf};

use super::{Time, account::resolve, keys::Keys};

/// More are nobody's practice.
const MOST_REQUIRED: u32 = 20;

/// How many must approve, and who may: of a campaign, of an account or of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalOptions {
    /// So many people.
    pub required: u32,
    /// OpenSSH's file of those who may sign.
    pub allowed_signers: PathBuf,
    /// How long an approval counts; as [`ApprovalOptions::EXPIRES`] says if left out.
    pub expires: Option<Time>,
    /// Public keys that count no longer.
    pub revoked_keys: Option<PathBuf>,
}

impl ApprovalOptions {
    /// How long an approval counts if nobody says so.
    pub const EXPIRES: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 60 * 60);

    /// How long an approval counts.
    #[must_use]
    pub fn lasts(&self) -> std::time::Duration {
        self.expires.map_or(Self::EXPIRES, Time::duration)
    }
}

/// The table `[approval]`, if it is there; paths in it begin at `base`.
pub(super) fn read(keys: &mut Keys<'_>, base: &Path) -> Option<ApprovalOptions> {
    let mut table = keys.table("approval")?;
    let options = read_keys(&mut table, base);
    keys.adopt(table.finish());
    options
}

/// The keys of such a table. Who wants approvals says whose: both must be there.
pub(crate) fn read_keys(keys: &mut Keys<'_>, base: &Path) -> Option<ApprovalOptions> {
    for needed in ["required", "allowed_signers"] {
        if keys.span_of(needed).is_none() {
            keys.missing(needed);
        }
    }
    let required = keys.integer("required", 1, MOST_REQUIRED);
    let mut path = |key| keys.string(key).map(|path| resolve(base, &path.value));
    let (signers, revoked_keys) = (path("allowed_signers"), path("revoked_keys"));
    let expires = keys.parsed::<Time>("approval_expires").map(|time| time.value);
    let (required, allowed_signers) = required.map(|number| number.value).zip(signers)?;
    Some(ApprovalOptions { required, allowed_signers, expires, revoked_keys })
}
