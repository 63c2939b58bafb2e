//! **apiece** mails everyone on a list separately, so that nobody on it can learn who else is.
//!
//! The library is the program without its terminal. Data goes one way through it, and a module uses only
//! what stands above it in this list:
//!
//! | room | what happens there |
//! | --- | --- |
//! | [`diagnostic`], [`secret`], [`address`] | what every room may use: complaints, passwords, mail addresses |
//! | [`campaign`] | `campaign.toml`, the user's accounts and the flags become one checked [`campaign::Campaign`] |
//! | [`recipients`] | a file becomes a [`recipients::RecipientList`]: one address and some fields for each person |
//! | [`template`] | front matter and Handlebars, checked against the list's columns |
//! | [`message`] | template + recipient become one [`message::Message`] in one [`message::Envelope`] |
//! | [`guard`] | looks for other people's addresses in a finished message |
//! | [`outbox`] | what was prepared, and what became of each message |
//! | [`approval`] | who must have signed what is sent, and whether they did |
//! | [`delivery`] | SMTP: connections, transactions, pace; speaks in [`delivery::Event`]s |
//! | [`login`] | OAuth 2.0: tokens are got from an issuer, kept, renewed and given to delivery |
//! | [`sandbox`] | an SMTP server that keeps what it is sent, and the proof made from it |
//! | [`preview`] | messages to look at, in the terminal, as files or as pages for a browser |
//! | [`doctor`] | looks at settings, record, server and DNS, and says what would stop a run; sends nothing |
//! | [`report`] | what a person or a program is told: progress, JSON, summary |
//! | [`schedule`] | a command that a scheduler starts, as systemd, cron, launchd and Windows want it written |
//! | [`cli`] | one file for each command |
//!
//! A list is read, a template compiled against it, and each message made for exactly one person:
//!
//! ```
//! use apiece::{campaign::ListOptions, message::Composer, recipients::RecipientList, template::{Format, Template}};
//!
//! let list = RecipientList::parse("people.csv", "name,email\nAda,ada@one.example\nBo,bo@two.example\n", &ListOptions::default())?;
//! let source = "+++\nfrom = \"updates@police.example\"\nsubject = \"Hello {{name}}\"\n+++\nDear {{name}},\n";
//! let template = Template::compile("update.txt.hbs", source, Format::Text, list.columns())?;
//!
//! let composer = Composer::new(template.into(), list.into());
//! let message = composer.compose(1)?;
//! assert_eq!(message.envelope().to().as_str(), "bo@two.example");
//! assert!(std::str::from_utf8(message.bytes())?.contains("Dear Bo,"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod diagnostic;
pub mod secret;

pub mod address;
mod fault;
mod trust;
mod visitors;

pub mod campaign;
pub mod recipients;
pub mod template;

pub mod message;

pub mod guard;

pub mod outbox;

pub mod approval;

pub mod delivery;
pub mod login;
pub mod sandbox;

pub mod preview;

pub mod doctor;
pub mod report;
pub mod schedule;

pub mod cli;
