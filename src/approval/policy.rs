//! What an organisation says about everybody's campaigns, in a file that those who send cannot write.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{ApprovalError, Rule};
use crate::{
    address::composed,
    campaign::{
        Account, ApprovalOptions, Campaign,
        approval::read_keys,
        keys::{Entry, Keys},
        read_text,
    },
    diagnostic::{Bare, Complaint, Diagnostics, Source, quoted, visible},
};

/// Where the platform's policy is. The path is no variable's: whoever runs the program could set that.
pub const PLATFORM_POLICY: &str = if cfg!(target_os = "macos") {
    "/Library/Application Support/apiece/policy.toml"
} else if cfg!(windows) {
    "C:\\ProgramData\\apiece\\policy.toml"
} else {
    "/etc/apiece/policy.toml"
};

/// A policy is no larger.
const MOST_BYTES: u64 = 1 << 20;

/// More recipients than anybody has.
const MOST_RECIPIENTS: u32 = 100_000_000;

/// What is said about everybody's campaigns.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    rules: Vec<Conditional>,
    /// The file that wants a label on each campaign
    label_wanted: Option<PathBuf>,
    /// The files that say which labels there are, and these
    labels: Vec<(PathBuf, Vec<String>)>,
}

/// A rule, and for which campaigns; all that is said must be true of one.
#[derive(Debug, Clone)]
struct Conditional {
    name: String,
    sensitivity: Vec<String>,
    more_than: Option<usize>,
    account: Option<String>,
    options: ApprovalOptions,
}

/// What is wrong with what a campaign says about its data.
#[derive(Debug)]
enum LabelProblem {
    /// It says nothing.
    None(PathBuf),
    /// It says what none of the policy's labels is.
    Unknown { file: PathBuf, label: String, known: Vec<String> },
}

impl fmt::Display for LabelProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |file: &Path| visible(&file.display().to_string());
        match self {
            Self::None(file) => write!(
                f,
                "the campaign does not say what kind of data it is about, which the policy {} wants",
                shown(file)
            ),
            Self::Unknown { file, label, .. } => {
                write!(f, "sensitivity = {}: the policy {} knows no such label", quoted(label), shown(file))
            }
        }
    }
}

impl Complaint for LabelProblem {
    fn code(&self) -> &'static str {
        "approval.label"
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::None(_) => "write it into campaign.toml, for example sensitivity = \"special category\"".into(),
            Self::Unknown { known, .. } => format!("the labels are {}", known.join(", ")),
        })
    }

    fn bare(&self) -> Bare {
        Bare::Whole
    }
}

impl Policy {
    /// The platform's policy, and a further one if `named`.
    ///
    /// The further one is for an organisation whose computers get their settings through the environment, and for trying a
    /// policy out. Whoever runs the program can set it or leave it out, so it only ever adds rules: nothing in it, and no lack
    /// of it, takes away what the platform's says. A file that is there and cannot be understood refuses everything: what it
    /// wants is not known.
    pub fn read(named: Option<&Path>) -> Result<Self, Diagnostics> {
        let platform = Path::new(PLATFORM_POLICY);
        let mut policy = Self::default();
        let is_missing = |why: std::io::Error| why.kind() == std::io::ErrorKind::NotFound;
        // A link that leads nowhere is there, and so is what may not be looked at.
        if !platform.symlink_metadata().is_err_and(is_missing) {
            policy.add(platform)?;
        }
        if let Some(named) = named {
            policy.add(named)?;
        }
        Ok(policy)
    }

    fn add(&mut self, file: &Path) -> Result<(), Diagnostics> {
        let text = read_text(file, MOST_BYTES)?;
        let source = Source::new(file.display().to_string(), &text);
        let mut keys = Keys::parse(&source, source.text(), 0)?;
        let base = file.parent().unwrap_or(Path::new(""));
        if keys.boolean("label_required").is_some_and(|wanted| wanted.value) {
            self.label_wanted = Some(file.to_owned());
        }
        if let Some(labels) = keys.strings("labels") {
            self.labels.push((file.to_owned(), labels.value.into_iter().map(|label| label.value).collect()));
        }
        let mut rules = Vec::new();
        for (nth, entry) in keys.entries("rule", &[]).into_iter().enumerate() {
            match entry {
                Entry::Table(mut table) => {
                    rules.extend(read_rule(&mut table, base, file, nth));
                    keys.adopt(table.finish());
                }
                Entry::Text(text) => keys.complain(text.span, "rule", "rules are tables: [[rule]]", None),
            }
        }
        self.rules.extend(keys.finish().sorted().checked(Some(rules))?);
        Ok(())
    }

    /// Whether a campaign says what it must say of itself.
    pub fn check_label(&self, campaign: &Campaign) -> Result<(), Box<dyn Complaint>> {
        let Some(label) = &campaign.sensitivity else {
            let wanted = self.label_wanted.as_ref();
            return wanted.map_or(Ok(()), |file| Err(Box::new(LabelProblem::None(file.clone()))));
        };
        let is_unknown =
            |(_, known): &&(PathBuf, Vec<String>)| known.iter().all(|known| simple(known) != simple(label));
        match self.labels.iter().find(is_unknown) {
            Some((file, known)) => {
                let (file, label, known) = (file.clone(), label.clone(), known.clone());
                Err(Box::new(LabelProblem::Unknown { file, label, known }))
            }
            None => Ok(()),
        }
    }

    /// Its rules for a campaign of so many recipients that goes through an account, if that is known, with their files as they
    /// are now.
    pub fn rules(
        &self,
        campaign: &Campaign,
        recipients: usize,
        account: Option<&Account>,
    ) -> Result<Vec<Rule>, ApprovalError> {
        let account = account.map(|account| account.name.as_str()).or(campaign.account.as_deref());
        let label = campaign.sensitivity.as_deref().map(simple);
        let applies = |rule: &&Conditional| {
            (rule.sensitivity.is_empty() || label.as_ref().is_some_and(|label| rule.sensitivity.contains(label)))
                && rule.more_than.is_none_or(|most| recipients > most)
                && rule.account.as_deref().is_none_or(|wanted| account == Some(wanted))
        };
        self.rules.iter().filter(applies).map(|rule| Rule::read(&rule.name, &rule.options)).collect()
    }
}

fn read_rule(table: &mut Keys<'_>, base: &Path, file: &Path, nth: usize) -> Option<Conditional> {
    let name = table.string("name").map_or_else(|| format!("rule {}", nth + 1), |name| name.value);
    let sensitivity = table.strings("sensitivity").map(|all| all.value).unwrap_or_default();
    let more_than = table.integer("more_than", 0, MOST_RECIPIENTS).map(|number| number.value as usize);
    let account = table.string("account").map(|account| account.value);
    let options = read_keys(table, base)?;
    Some(Conditional {
        name: format!("{} of {}", visible(&name).replace('\n', " "), visible(&file.display().to_string())),
        sensitivity: sensitivity.iter().map(|label| simple(&label.value)).collect(),
        more_than,
        account,
        options,
    })
}

/// A label as it is compared: its words, in lower case, whatever stands between them.
fn simple(label: &str) -> String {
    let label = composed(label).to_lowercase();
    label.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_its_words() {
        for label in ["special category", " Special  Category", "special-category", "SPECIAL\u{a0}CATEGORY"] {
            assert_eq!(simple(label), "special category");
        }
        assert_eq!(simple("cafe\u{301}"), simple("Café"));
        assert_ne!(simple("specialcategory"), "special category");
    }
}
