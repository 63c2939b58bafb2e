//! What a campaign is about, without anything about anybody: what a regulator asks, also once the people's data is gone.

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Overview, Store, StoreError, thaw::Files};
use crate::{
    address::Address,
    campaign::{CAMPAIGN_FILE, Campaign, ListSource, Overrides},
    outbox::database::values,
    recipients::{RecipientList, Shape},
    template::{Occurrence, Template},
};

/// What a campaign is about, and what was looked for before it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Matter {
    /// What kind of data it is about, in the words of whoever answers for it.
    pub sensitivity: Option<String>,
    /// Whose data it is.
    pub people: Option<String>,
    /// The sender's address, where it is everybody's.
    pub from: Option<String>,
    /// The headings of the columns that the message shows, or that it depends on.
    pub columns: Vec<String>,
    /// How many columns of the list it does not use, besides that of the addresses.
    pub unused_columns: usize,
    /// Whether the rows of one address are one person's.
    pub grouped: bool,
    /// The files that go with messages.
    pub files: Vec<Attached>,
    /// The headings of the columns whose values must not reach anybody else.
    pub identifying: Vec<String>,
    /// How many addresses and other values may stand in anybody's message.
    pub allowed: usize,
    /// A value that more people have tells nobody.
    pub common: u16,
    /// Whether an attachment that cannot be looked into is refused, and not only named.
    pub opaque_refused: bool,
    /// How many people had to approve it, if the campaign says so.
    pub approvals: Option<u32>,
    /// The campaign of the record that its list was made from, if it was: this one follows it up.
    pub follows: Option<String>,
    /// What each of its messages is of, where it recurs: as the settings say it, and for all at once if it is the same for all.
    pub occurrence: Option<String>,
}

/// A file that goes with messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// As the template names it, perhaps with placeholders.
    pub path: String,
    /// By the ending of its name.
    pub media_type: String,
    /// Whether each goes to one person only.
    pub personal: bool,
    /// Whether it is a picture that the message shows.
    pub shown: bool,
}

impl Store {
    /// What a campaign is about; nobody knows it of one that an earlier version prepared or purged, or that does not fit
    /// together.
    pub fn matter(&self, campaign: &Overview) -> Result<Option<Matter>, StoreError> {
        if campaign.purged.is_some() {
            let entries = self.entries(&campaign.id)?;
            let purged = entries.into_iter().rfind(|entry| entry.what == "purged");
            let about = purged.and_then(|mut entry| entry.details.get_mut("about").map(serde_json::Value::take));
            return Ok(about.and_then(|about| serde_json::from_value(about).ok()));
        }
        let sql = "SELECT settings, list FROM campaign WHERE number = ?";
        let kept = self.database.one(sql, values![campaign.number], |row| Ok((row.get(0)?, row.get(1)?)));
        let kept: (Option<String>, Option<String>) = kept.map_err(|why| self.error(&why))?;
        let (Some(settings), Some(list)) = kept else { return Ok(None) };
        let files = Files::open(&self.location, campaign.number).map_err(|why| self.error(&why))?;
        Ok(matter_of(&settings, &list, files))
    }

    /// The campaigns whose lists were made from what became of a campaign.
    pub fn followed_by(&self, campaign: &Overview) -> Result<Vec<Overview>, StoreError> {
        let mut followers = Vec::new();
        for other in self.campaigns()? {
            // An id may be shortened, to four letters at least.
            let follows = |id: &str| id.len() >= 4 && campaign.id.starts_with(id);
            if other.number != campaign.number
                && self.matter(&other)?.and_then(|matter| matter.follows).is_some_and(|id| follows(&id))
            {
                followers.push(other);
            }
        }
        followers.reverse();
        Ok(followers)
    }
}

fn matter_of(settings: &str, list: &str, files: Files) -> Option<Matter> {
    let settings = Campaign::parse(Path::new(CAMPAIGN_FILE), settings, Overrides::default()).ok()?;
    let shape: Shape = serde_json::from_str(list).ok()?;
    // Nobody of it is needed.
    let list = RecipientList::restored(&shape, std::iter::empty())?;
    let columns = list.columns();
    let template = Template::frozen(&settings.template.to_string_lossy(), Arc::new(files), columns).ok()?;
    let heading = |nth: usize| columns.heading(nth).to_owned();
    let occurrence = settings.recurring.as_ref().map(|recurring| {
        let of_all = Occurrence::compile(recurring, columns).ok().and_then(|occurrence| occurrence.of_all());
        of_all.unwrap_or_else(|| recurring.occurrence.clone())
    });
    let used: Vec<String> = (0..columns.len()).filter(|nth| template.uses(*nth)).map(heading).collect();
    let unused = (0..columns.len()).filter(|nth| !template.uses(*nth) && *nth != shape.address).count();
    let attached = |(path, personal, shown): (&str, bool, bool)| Attached {
        path: path.to_owned(),
        media_type: mime_guess::from_path(path).first_or_octet_stream().to_string(),
        personal,
        shown,
    };
    Some(Matter {
        occurrence,
        follows: follows(&settings),
        sensitivity: settings.sensitivity,
        people: settings.people,
        from: template.fixed_sender().map(Address::to_string),
        unused_columns: unused,
        columns: used,
        grouped: shape.grouped,
        files: template.named_files().map(attached).collect(),
        identifying: columns.identifying().map(heading).collect(),
        allowed: settings.guard.allow.len() + settings.guard.allowed_values.len(),
        common: settings.guard.common(),
        opaque_refused: settings.guard.opaque == Some(crate::campaign::OpaqueAttachments::Refuse),
        approvals: settings.approval.map(|approval| approval.required),
    })
}

/// The id of the campaign that a list is made from.
fn follows(settings: &Campaign) -> Option<String> {
    match &settings.recipients {
        ListSource::Outbox(from) => Some(from.campaign.clone()),
        ListSource::File(_) => None,
    }
}
