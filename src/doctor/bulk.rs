//! What the large providers want of whoever writes to many of their customers.

use super::{Cause, Check, Checkup};
use crate::{address::Address, diagnostic::counted};

/// The rules hold from so many messages a day to one provider (support.google.com/a/answer/14229414).
const MANY: usize = 5000;

/// Providers with such rules, and the domains that count: whole ones, and ends of names that have one for each country.
const PROVIDERS: [(&str, &[&str], &[&str]); 3] = [
    ("Google", &["gmail.com", "googlemail.com"], &[]),
    ("Yahoo", &["ymail.com", "rocketmail.com", "aol.com"], &["yahoo."]),
    ("Microsoft", &["msn.com"], &["outlook.", "hotmail.", "live."]),
];

/// Whom a campaign goes to, in numbers alone.
#[derive(Debug, Clone, Default)]
pub struct Audience {
    recipients: usize,
    /// As the providers stand in the table
    at: [usize; PROVIDERS.len()],
    /// Whether each message can be unsubscribed from with one click (RFC 8058)
    one_click: bool,
}

impl Audience {
    /// Nobody yet; whether each message can be unsubscribed from with one click.
    #[must_use]
    pub fn new(one_click: bool) -> Self {
        Self { one_click, ..Self::default() }
    }

    /// One more.
    pub fn add(&mut self, recipient: &Address) {
        self.recipients += 1;
        let domain = recipient.domain().to_ascii_lowercase();
        let is_at = |(_, whole, begins): &(&str, &[&str], &[&str])| {
            whole.contains(&domain.as_str()) || begins.iter().any(|begin| domain.starts_with(begin))
        };
        if let Some(provider) = PROVIDERS.iter().position(is_at) {
            self.at[provider] += 1;
        }
    }

    /// The provider with most of them.
    fn most(&self) -> (&'static str, usize) {
        let all = PROVIDERS.iter().zip(self.at).map(|((name, ..), count)| (*name, count));
        all.max_by_key(|(_, count)| *count).unwrap_or(("Google", 0))
    }
}

/// Whether people can unsubscribe where the rules want it, and whether what else they want is there. `signs`: the account does.
pub fn unsubscribe(checkup: &mut Checkup<'_>, audience: Option<&Audience>, since: &str, signs: bool) {
    let [rules, click] = [("bulk", "bulk rules"), ("unsubscribe", "one-click unsubscribe")];
    let Some(audience) = audience else {
        checkup.add(Check::skipped(rules.0, rules.1, since));
        return checkup.add(Check::skipped(click.0, click.1, since));
    };
    let (name, count) = audience.most();
    let is_bulk = count >= MANY;
    let numbers = match count {
        0 => format!("none of {} is at a provider that has them", counted(audience.recipients, "recipient")),
        _ => format!("{count} of {} at {name}", counted(audience.recipients, "recipient")),
    };
    let missing: Vec<&str> = [("spf", "SPF"), ("dkim", "DKIM"), ("dmarc", "DMARC")]
        .into_iter()
        .filter(|(id, _)| checkup.lacks(id))
        .map(|(_, name)| name)
        .collect();
    checkup.add(if !is_bulk {
        Check::ok(
            rules.0,
            rules.1,
            format!("{numbers}; they begin at {MANY} a day, over all that is sent from the domain"),
        )
    } else if missing.is_empty() {
        Check::ok(
            rules.0,
            rules.1,
            format!("{numbers}, where they hold: SPF, DKIM and DMARC, which were looked at above"),
        )
    } else {
        let finding = format!("{numbers}, which refuses so many without {}", missing.join(", "));
        Check::failure(rules.0, rules.1, Cause::Configuration, finding)
            .to_do("see above; spread the campaign over more days, if that cannot wait")
    });
    let covered = if signs {
        "the account's DKIM signature covers both headers"
    } else {
        "the server's DKIM signature has to cover List-Unsubscribe and List-Unsubscribe-Post"
    };
    checkup.add(match (audience.one_click, is_bulk) {
        (true, _) => Check::ok(click.0, click.1, format!("each message has it; {covered}")),
        (false, false) => Check::ok(click.0, click.1, "the messages have none, and so few need none"),
        (false, true) => Check::warning(
            click.0,
            click.1,
            format!("the messages have none, and {name} wants it of what people have subscribed to"),
        )
        .to_do("add unsubscribe = \"https://…\" with a value of each person's own to the template's front matter")
        .to_do("it may be left out where people must be told something, whether they like it or not"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_counted_by_who_keeps_their_mail() {
        let mut audience = Audience::new(false);
        for address in
            ["a@gmail.com", "b@GoogleMail.com", "c@yahoo.co.uk", "d@yahoo-mail.example", "e@live.nl", "f@x.example"]
        {
            audience.add(&address.parse().unwrap());
        }
        assert_eq!((audience.recipients, audience.at, audience.most()), (6, [2, 1, 1], ("Google", 2)));
    }
}
