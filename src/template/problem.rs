//! What can be wrong with a template, or with what comes out of it for one person.

use std::fmt;

use super::{files::FileProblem, front_problem::FrontProblem};
use crate::{
    address::AddressError,
    diagnostic::{Bare, Complaint, EMPTY_BODY, quoted},
};

/// What can be wrong with a template.
#[derive(Debug)]
pub(crate) enum TemplateProblem {
    Ending,
    NoFrontMatter,
    FrontMatterOpen,
    Character(char),
    TooDeep,
    Syntax(String),
    Unlike { why: String, instead: String },
    RawBlock,
    TagOpen,
    BlockOpen(String),
    NotText(String),
    HelperAlone(String),
    Arguments { name: String, least: usize, most: usize },
    NoSuchArgument { helper: String, name: String, known: String },
    UrlEncode,
    JoinWhat,
    NoColumn { name: String, nearest: Option<String>, columns: String },
    NoHelper { name: String, nearest: Option<String> },
    BlockOverColumn(String),
    NothingToLoop { name: String, rows: bool },
    EachWhat(String),
    YesNoShown(String),
    UntypedYesNo { asks: &'static str, name: String, heading: String, cell: String, number: bool },
    Disagree { name: String, first: (u64, String), other: (u64, String) },
    Raw { name: String, in_html: bool },
    Partial,
    PartialArguments,
    PartialCycle(String),
    PartialNowhere(String),
    PartialName(String),
    PartialMissing { name: String, tried: String },
    PartialOutside(String),
    PartialFrontMatter,
    NotAName(String),
    HeaderRefused { name: String, why: &'static str },
    HeaderName(String),
    HeaderTwice(String),
    AuthorAddress { key: &'static str, error: AddressError },
    Render { place: String, why: String },
    HeaderLine { key: String, character: char },
    EmptyHeader(&'static str),
    EmptyBody,
    EmptyCell(String),
    Link(String),
    File(FileProblem),
    Front(FrontProblem),
    RawPlace,
    RawCell { name: String, why: String },
    Style(String),
    ValueInHtml(&'static str),
    Remote(String),
    OddAddress(String),
    DataAddress,
    Dropped(String),
    LayoutForText,
    LayoutName(String),
    LayoutNowhere,
    LayoutMissing { name: String, tried: String },
    LayoutOutside(String),
    LayoutTag(String),
    LayoutTagOpen,
    LayoutBody(usize),
    LayoutBodyPlace,
    TwoDocuments(String),
    Css(String),
}

impl TemplateProblem {
    /// What the language is without, or what its two readers would read in two ways.
    pub(super) fn unlike(why: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::Unlike { why: why.into(), instead: instead.into() }
    }

    /// What to do about a column of which is only asked whether it is filled in.
    fn typed_yes_no(heading: &str) -> String {
        format!(
            "say what the column is, under [columns] in campaign.toml or with --column: {} = \"yes_no\"; or \"text\", if that \
             is the question",
            quoted(heading)
        )
    }

    /// From Handlebars' own error while rendering.
    pub(super) fn render(file: &str, line: usize, column: usize, error: &handlebars::RenderError) -> Self {
        Self::Render { place: format!("{file}:{line}:{column}"), why: error.reason().to_string() }
    }
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ending => f.write_str("the ending of the template's name does not tell what it is written in"),
            Self::NoFrontMatter => f.write_str("a template begins with its front matter between two lines of +++"),
            Self::FrontMatterOpen => f.write_str("the front matter is not closed by a second line of +++"),
            Self::Character(c) => write!(f, "the template holds the character U+{:04X}", u32::from(*c)),
            Self::TooDeep => f.write_str("blocks or brackets are nested too deeply"),
            Self::Syntax(why) => write!(f, "this is not Handlebars: {why}"),
            Self::Unlike { why, .. } => f.write_str(why),
            Self::RawBlock => f.write_str("raw blocks, {{{{…}}}}, are not available"),
            Self::TagOpen => f.write_str("a tag is opened here and never closed"),
            Self::BlockOpen(name) => write!(f, "{{{{#{name}}}}} is opened here and never closed"),
            Self::NotText(literal) => write!(f, "cells hold text, and {literal} is none"),
            Self::HelperAlone(name) => write!(f, "{{{{{name}}}}} is a helper without anything to work on"),
            Self::Arguments { name, least, most } if least == most => {
                write!(f, "{name} takes {least} {}", if *least == 1 { "value" } else { "values" })
            }
            Self::Arguments { name, least, most } => write!(f, "{name} takes {least} to {most} values"),
            Self::NoSuchArgument { helper, name, .. } => write!(f, "{helper} has nothing that is called {name}"),
            Self::UrlEncode => f.write_str("a value in a link's target is encoded by itself"),
            Self::JoinWhat => f.write_str("join needs the name of a column in quotation marks behind rows"),
            Self::NoColumn { name, .. } => write!(f, "there is no column for {{{{{name}}}}}"),
            Self::NoHelper { name, .. } => write!(f, "there is no helper \"{name}\""),
            Self::BlockOverColumn(name) => write!(f, "{{{{#{name}}}}} is not a block"),
            Self::NothingToLoop { name, .. } => {
                write!(f, "{{{{#{name}}}}} has nothing to go through: a column holds one value")
            }
            Self::EachWhat(what) if what == "rows" => f.write_str("\"rows\" are gone through, and not a value"),
            Self::EachWhat(_) => f.write_str("{{#each}} goes through rows, and through nothing else"),
            Self::YesNoShown(name) => write!(f, "{{{{{name}}}}} is yes or no, and can only be asked"),
            Self::UntypedYesNo { asks, name, cell, .. } => write!(
                f,
                "the cell says {}, and {{{{#{asks} {name}}}}} only asks whether it is filled in",
                quoted(cell)
            ),
            Self::Disagree { name, first, other } => write!(
                f,
                "the message uses {{{{{name}}}}} once, and it is {} in row {} and {} in row {}",
                quoted(&first.1),
                first.0,
                quoted(&other.1),
                other.0
            ),
            Self::Raw { name, .. } => write!(f, "{{{{{{{name}}}}}}} would put a value from the list in unescaped"),
            Self::Partial => f.write_str("decorators, blocks of partials, and partials in headers are not available"),
            Self::PartialArguments => f.write_str("a partial has a fixed name, and takes no values"),
            Self::PartialCycle(within) => write!(f, "this partial is within itself ({within})"),
            Self::PartialNowhere(name) => {
                write!(f, "there is no directory to look for the partial {} in", quoted(name))
            }
            Self::PartialName(name) => {
                write!(f, "{} is not the name of a file below the template's directory", quoted(name))
            }
            Self::PartialMissing { name, .. } => write!(f, "there is no partial {}", quoted(name)),
            Self::PartialFrontMatter => f.write_str("a partial has no front matter"),
            Self::PartialOutside(name) => {
                write!(f, "the partial {} lies outside of the template's directory", quoted(name))
            }
            Self::NotAName(path) => write!(f, "\"{path}\" is not the name of a column"),
            Self::HeaderRefused { name, why } => write!(f, "the header \"{name}\" cannot be set here: {why}"),
            Self::HeaderName(name) => write!(f, "{} is not a header name", quoted(name)),
            Self::HeaderTwice(name) => write!(f, "the header \"{name}\" is set twice"),
            Self::AuthorAddress { key, error } => write!(f, "\"{key}\": {error}"),
            Self::Render { place, why } => write!(f, "the template cannot be filled in at {place}: {why}"),
            Self::HeaderLine { key, character } => {
                write!(f, "\"{key}\" would hold {}, which a header may not", named(*character))
            }
            Self::EmptyHeader(key) => write!(f, "\"{key}\" is empty"),
            Self::EmptyCell(name) => write!(f, "the cell is empty, and the message shows {{{{{name}}}}}"),
            Self::EmptyBody => f.write_str("the message would be empty"),
            Self::File(problem) => problem.fmt(f),
            Self::Front(problem) => problem.fmt(f),
            Self::RawPlace => f.write_str("HTML from the list can stand only where text can"),
            Self::RawCell { name, why } => write!(f, "{{{{{{{name}}}}}}} cannot go in as it is: {why}"),
            Self::Style(value) => write!(f, "a style would hold {}", quoted(value)),
            Self::Link(target) => {
                write!(f, "a link would go to {}, which is no web, mail or telephone address", quoted(target))
            }
            Self::ValueInHtml(place) => write!(f, "a value from the list cannot stand in {place}"),
            Self::Remote(address) => write!(f, "the message would load {} from elsewhere", shortened(address)),
            Self::OddAddress(address) => write!(f, "no message can load {}", shortened(address)),
            Self::DataAddress => f.write_str("many mail programs do not show pictures that are in a data: address"),
            Self::Dropped(what) => write!(f, "mail programs drop {what}, and some the whole message"),
            Self::LayoutForText => f.write_str("plain text has no layout"),
            Self::LayoutName(name) => {
                write!(f, "{} is not the name of an .html file below the template's directory", quoted(name))
            }
            Self::LayoutNowhere => f.write_str("there is no directory to look for the layout in"),
            Self::LayoutMissing { name, .. } => write!(f, "there is no layout {}", quoted(name)),
            Self::LayoutOutside(name) => {
                write!(f, "the layout {} lies outside of the template's directory", quoted(name))
            }
            Self::LayoutTag(tag) => write!(f, "a layout cannot hold {tag}"),
            Self::LayoutTagOpen => f.write_str("{{ is opened here and never closed"),
            Self::LayoutBody(0) => f.write_str("the layout does not say where the {{body}} goes"),
            Self::LayoutBody(_) => f.write_str("the {{body}} can be there only once"),
            Self::LayoutBodyPlace => f.write_str("the {{body}} can stand only where text can"),
            Self::TwoDocuments(tag) => write!(f, "{tag} is in the layout already"),
            Self::Css(why) => write!(f, "the style sheet cannot be read: {why}"),
        }
    }
}

impl From<FrontProblem> for TemplateProblem {
    fn from(problem: FrontProblem) -> Self {
        Self::Front(problem)
    }
}

impl From<FileProblem> for TemplateProblem {
    fn from(problem: FileProblem) -> Self {
        Self::File(problem)
    }
}

/// An address may be very long.
fn shortened(address: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = address.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if address.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

fn named(character: char) -> String {
    match character {
        '\n' | '\r' => "a line break".into(),
        '\0' => "a NUL".into(),
        c => format!("the control character U+{:04X}", u32::from(c)),
    }
}

impl Complaint for TemplateProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Ending => "template.ending",
            Self::NoFrontMatter | Self::FrontMatterOpen => "template.front-matter",
            Self::Character(_) => "template.character",
            Self::TooDeep => "template.too-deep",
            Self::Syntax(_) | Self::Unlike { .. } | Self::RawBlock | Self::TagOpen | Self::BlockOpen(_) => {
                "template.syntax"
            }
            Self::NotText(_) => "template.not-text",
            Self::HelperAlone(_) => "template.helper-alone",
            Self::Arguments { .. } | Self::NoSuchArgument { .. } | Self::UrlEncode | Self::JoinWhat => {
                "template.arguments"
            }
            Self::NoColumn { .. } | Self::NotAName(_) => "template.no-column",
            Self::NoHelper { .. } => "template.no-helper",
            Self::BlockOverColumn(_) | Self::NothingToLoop { .. } | Self::EachWhat(_) => "template.block",
            Self::YesNoShown(_) => "template.yes-or-no",
            Self::UntypedYesNo { .. } => "list.untyped-yes-or-no",
            Self::Disagree { .. } => "list.rows-disagree",
            Self::Partial
            | Self::PartialArguments
            | Self::PartialCycle(_)
            | Self::PartialNowhere(_)
            | Self::PartialName(_)
            | Self::PartialMissing { .. }
            | Self::PartialFrontMatter
            | Self::PartialOutside(_) => "template.partial",
            Self::HeaderRefused { .. } | Self::HeaderName(_) | Self::HeaderTwice(_) => "template.header",
            Self::AuthorAddress { .. } => "template.author-address",
            Self::Render { .. } => "template.render",
            Self::HeaderLine { .. } => "template.header-line",
            Self::EmptyHeader(_) => "template.empty-header",
            Self::EmptyBody => EMPTY_BODY,
            Self::EmptyCell(_) => "list.empty-cell",
            Self::Link(_) => "template.link",
            Self::File(problem) => problem.code(),
            Self::Front(problem) => problem.code(),
            Self::Raw { .. } | Self::RawPlace | Self::RawCell { .. } => "template.raw",
            Self::Style(_) => "template.style",
            Self::ValueInHtml(_) => "template.value-in-html",
            Self::Remote(_) | Self::OddAddress(_) => "template.remote",
            Self::DataAddress => "template.data-address",
            Self::Dropped(_) => "template.dropped",
            Self::Css(_) => "template.css",
            Self::LayoutForText
            | Self::LayoutName(_)
            | Self::LayoutNowhere
            | Self::LayoutMissing { .. }
            | Self::LayoutOutside(_)
            | Self::LayoutTag(_)
            | Self::LayoutTagOpen
            | Self::LayoutBody(_)
            | Self::LayoutBodyPlace
            | Self::TwoDocuments(_) => "template.layout",
        }
    }

    fn bare(&self) -> Bare {
        let message = match self {
            Self::File(problem) => return problem.bare(),
            Self::Front(problem) => return problem.bare(),
            Self::AuthorAddress { key, error } => {
                let said = |message, help| Bare::said(format!("\"{key}\": {message}"), help);
                return match error.bare() {
                    Bare::Said { message, help } => said(message, help),
                    Bare::Whole => said(error.to_string(), error.help()),
                };
            }
            // Where headings are missing, a person is in their place.
            Self::NoColumn { nearest: None, .. } => {
                return Bare::said(self.to_string(), Some("look at the list's headings".into()));
            }
            Self::UntypedYesNo { asks, name, heading, .. } => {
                let help = Self::typed_yes_no(heading);
                return Bare::said(
                    format!("the cell says yes or no, and {{{{#{asks} {name}}}}} only asks whether it is filled in"),
                    Some(help),
                );
            }
            Self::Disagree { name, first, other } => {
                format!("the message uses {{{{{name}}}}} once, and it differs in rows {} and {}", first.0, other.0)
            }
            Self::Render { place, .. } => format!("the template cannot be filled in at {place}"),
            Self::RawCell { name, .. } => format!("{{{{{{{name}}}}}}} cannot go in as it is"),
            Self::Style(_) => "a style would hold what none may".into(),
            Self::Link(_) => "a link would go to what is no web, mail or telephone address".into(),
            Self::Remote(_) => "the message would load something from elsewhere".into(),
            Self::OddAddress(_) => "the message would load what no message can load".into(),
            Self::Dropped(_) => "the message holds what mail programs drop, and some the whole message".into(),
            Self::Css(_) => "the style sheet cannot be read".into(),
            Self::Ending
            | Self::NoFrontMatter
            | Self::FrontMatterOpen
            | Self::Character(_)
            | Self::TooDeep
            | Self::Syntax(_)
            | Self::Unlike { .. }
            | Self::RawBlock
            | Self::TagOpen
            | Self::BlockOpen(_)
            | Self::NotText(_)
            | Self::HelperAlone(_)
            | Self::Arguments { .. }
            | Self::NoSuchArgument { .. }
            | Self::UrlEncode
            | Self::JoinWhat
            | Self::NoColumn { .. }
            | Self::NoHelper { .. }
            | Self::BlockOverColumn(_)
            | Self::NothingToLoop { .. }
            | Self::EachWhat(_)
            | Self::YesNoShown(_)
            | Self::Raw { .. }
            | Self::Partial
            | Self::PartialArguments
            | Self::PartialCycle(_)
            | Self::PartialNowhere(_)
            | Self::PartialName(_)
            | Self::PartialMissing { .. }
            | Self::PartialOutside(_)
            | Self::PartialFrontMatter
            | Self::NotAName(_)
            | Self::HeaderRefused { .. }
            | Self::HeaderName(_)
            | Self::HeaderTwice(_)
            | Self::HeaderLine { .. }
            | Self::EmptyHeader(_)
            | Self::EmptyBody
            | Self::EmptyCell(_)
            | Self::RawPlace
            | Self::ValueInHtml(_)
            | Self::DataAddress
            | Self::LayoutForText
            | Self::LayoutName(_)
            | Self::LayoutNowhere
            | Self::LayoutMissing { .. }
            | Self::LayoutOutside(_)
            | Self::LayoutTag(_)
            | Self::LayoutTagOpen
            | Self::LayoutBody(_)
            | Self::LayoutBodyPlace
            | Self::TwoDocuments(_) => return Bare::Whole,
        };
        Bare::said(message, self.help())
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Ending => "name it .txt.hbs (plain text), .md.hbs (Markdown) or .html.hbs (HTML)".into(),
            Self::NoFrontMatter | Self::FrontMatterOpen => {
                "for example:\n\n+++\nfrom    = \"Casework <updates@police.example>\"\nsubject = \"An update on your case\"\n+++\nDear {{name}},\n".into()
            }
            Self::NoColumn { nearest: Some(nearest), .. } | Self::NoHelper { nearest: Some(nearest), .. } => {
                format!("did you mean {{{{{nearest}}}}}?")
            }
            Self::NoColumn { columns, .. } => format!("the list has the columns {columns}"),
            Self::NoHelper { .. } => format!("the helpers are {}", super::helpers::names().collect::<Vec<_>>().join(", ")),
            Self::BlockOverColumn(name) => format!("to ask whether a cell is filled in, write {{{{#if {name}}}}}…{{{{/if}}}}"),
            Self::NothingToLoop { rows: true, .. } => {
                "rows of one address become one message with --group-by (group_by under [recipients_options] in campaign.toml)".into()
            }
            Self::EachWhat(_) => "for example {{#each rows}}{{name}}{{/each}}".into(),
            Self::YesNoShown(name) => format!("write {{{{#if {name}}}}}yes{{{{else}}}}no{{{{/if}}}}"),
            Self::UntypedYesNo { name, cell, number: true, .. } => {
                format!("compare it: {{{{#if (eq {name} {})}}}}", quoted(cell))
            }
            Self::UntypedYesNo { heading, .. } => Self::typed_yes_no(heading),
            Self::Disagree { .. } => "make them the same, or use it within {{#each rows}}".into(),
            Self::Raw { name, in_html: false } => format!("write {{{{{name}}}}}"),
            Self::Raw { name, .. } => format!(
                "write {{{{{name}}}}}; or, where the cells hold HTML that you trust, raw_html = [\"{name}\"] in the front matter"
            ),
            Self::EmptyCell(name) => format!(
                "fill it in; or ask for it first, {{{{#if {name}}}}}…{{{{/if}}}}; or name the column with --optional \
                 (optional under [recipients_options] in campaign.toml)"
            ),
            Self::NoSuchArgument { known, .. } if !known.is_empty() => format!("it has {known}"),
            Self::UrlEncode => "write {{name}} alone; url_encode is for plain text".into(),
            Self::JoinWhat => "for example {{join rows \"title\"}}".into(),
            Self::PartialArguments => "it sees the same columns as the place where it stands".into(),
            Self::PartialMissing { tried, .. } | Self::LayoutMissing { tried, .. } => {
                format!("it would be the file {tried}")
            }
            Self::PartialOutside(_) | Self::PartialName(_) | Self::LayoutOutside(_) => "put a copy beside the template".into(),
            Self::Unlike { instead, .. } => instead.clone(),
            Self::File(problem) => return problem.help(),
            Self::Front(problem) => return problem.help(),
            Self::Style(_) => "letters, digits, spaces and # % . , + - can stand there".into(),
            Self::RawBlock => "to show braces, write a backslash before them: \\{{".into(),
            Self::TagOpen => "close it with }}".into(),
            Self::BlockOpen(name) => format!("close it with {{{{/{name}}}}}"),
            Self::NotText(literal) => format!("write \"{literal}\""),
            Self::HelperAlone(name) => format!("a column of that name is {{{{this.{name}}}}}"),
            Self::ValueInHtml(_) => "put the attribute in quotation marks, or the value into the text".into(),
            Self::EmptyBody => "the template shows nothing for this row: see what its {{#if}} ask".into(),
            Self::HeaderLine { .. } => "take it out of the cell".into(),
            Self::Remote(_) => "whoever owns that address could see who opened the message, and when: take it out, or permit it with \
                                allow_remote = true in the front matter"
                .into(),
            Self::Dropped(_) => "take it out".into(),
            Self::LayoutName(_) => "or \"plain\", the one that is built in, or \"none\"".into(),
            Self::LayoutForText => "take it out, or name the template .md.hbs or .html.hbs".into(),
            Self::LayoutTag(_) | Self::LayoutTagOpen => "it can hold {{body}}, {{subject}} and {{language}}".into(),
            Self::LayoutBody(0) | Self::LayoutBodyPlace => "write {{body}} on a line of its own within <body>".into(),
            Self::TwoDocuments(_) => "leave it out, or say layout = \"none\"".into(),
            _ => return None,
        })
    }
}
