//! A second pair of eyes: somebody else signs with an SSH key what is to be sent, and nothing is sent that needs that and has
//! it not.
//!
//! What is signed is a [`statement`](Subject::statement), a short text that names the campaign by its digest, as OpenSSH signs
//! files: `ssh-keygen -Y sign -n apiece` makes such a signature, `ssh-keygen -Y verify` checks one of ours. Statement and
//! signature are an entry of the log. What an approval is worth is worked out anew each time that it matters: by the
//! campaign's digest, by the [`Rule`]s that apply and the keys that these allow now, by the clock, by who prepared it, and by
//! whether somebody rejected it.

mod agent;
mod bundle;
mod decision;
mod error;
mod exchange;
mod key;
mod policy;
mod preparer;
mod rule;
mod signers;
mod standing;
mod statement;

pub use self::{
    agent::Agent,
    bundle::{export, import, is_bundle, recipient},
    decision::{Decision, Invalid},
    error::ApprovalError,
    exchange::{Exchanged, Letter},
    key::{Key, read_public, read_signature, read_signers},
    policy::{PLATFORM_POLICY, Policy},
    preparer::{Preparer, own_login},
    rule::{Allowed, Revoked, Rule},
    signers::Signers,
    standing::{Cleared, Missing, Standing, Weighed, judge},
    statement::{Said, Subject, Word},
};

/// What the signatures are for, so that one that was made for something else counts for nothing here.
pub const NAMESPACE: &str = "apiece";
