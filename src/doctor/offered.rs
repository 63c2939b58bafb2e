//! What a server offers, beside what the account wants of it.

use super::{Cause, Check};
use crate::{
    campaign::{Account, Preset},
    delivery::Hello,
    diagnostic::counted,
};

/// What makes a difference to a run.
const FEATURES: [&str; 8] =
    ["PIPELINING", "CHUNKING", "SIZE", "SMTPUTF8", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES", "LIMITS"];

pub(super) fn features(hello: &Hello) -> Check {
    let (id, what) = ("features", "features");
    let (has, has_not): (Vec<&str>, Vec<&str>) = FEATURES.into_iter().partition(|keyword| hello.has(keyword));
    let listed = |all: &[&str]| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    let finding = format!("there are {}; missing: {}", listed(&has), listed(&has_not));
    if hello.has("PIPELINING") {
        return Check::ok(id, what, finding);
    }
    Check::note(id, what, finding)
        .to_do("without PIPELINING each message takes several round trips: more connections help, where the server permits them")
}

/// What the server and its provider permit, and what the account does.
pub(super) fn limits(hello: &Hello, account: &Account, largest: Option<u64>) -> Check {
    let (id, what) = ("limits", "limits");
    let mut said = vec![match hello.size {
        Some(u64::MAX) => "the server takes messages of any size".to_owned(),
        Some(most) => format!("the server takes messages of up to {most} bytes"),
        None => "the server does not say how large a message may be".to_owned(),
    }];
    if let Some(size) = largest {
        said.push(format!("the largest of the campaign has {size}"));
    }
    let most = hello.limit("MAILMAX");
    if let Some(most) = most {
        said.push(format!(
            "it takes {} over a connection (MAILMAX)",
            counted(usize::try_from(most).unwrap_or(usize::MAX), "message")
        ));
    }
    let rates: Vec<String> = account.rates.iter().map(ToString::to_string).collect();
    said.push(format!(
        "the account opens {} and sends {}",
        counted(account.connections.get(), "connection"),
        if rates.is_empty() { "as fast as it can".into() } else { format!("no more than {}", rates.join(" and ")) }
    ));
    let finding = said.join("; ");
    if let (Some(size), Some(most)) = (largest, hello.size)
        && size > most
    {
        return Check::failure(id, what, Cause::Data, finding).to_do("attach less: nothing would be sent");
    }
    let mut help = Vec::new();
    if let Some(most) = most.filter(|most| account.messages_per_connection.is_none_or(|own| own.get() as u64 > *most)) {
        help.push(format!(
            "set messages_per_connection = {most} in the account, so that the server need not break off"
        ));
    }
    let host = account.host.to_ascii_lowercase();
    if let Some(preset) = Preset::ALL.into_iter().find(|preset| preset.host == Some(host.as_str())) {
        if account.rates.is_empty() && !preset.rates.is_empty() {
            let rates: Vec<String> = preset.rates.iter().map(|rate| format!("\"{rate}\"")).collect();
            help.push(format!(
                "this provider permits {}: set preset = \"{}\" or rate = [{}]",
                preset.rates.join(" and "),
                preset.name,
                rates.join(", ")
            ));
        }
        if account.connections.get() > preset.connections {
            help.push(format!("set connections = {}: this provider is known to take no more", preset.connections));
        }
    }
    if help.is_empty() {
        return Check::ok(id, what, finding);
    }
    help.iter().fold(Check::warning(id, what, finding), Check::to_do)
}
