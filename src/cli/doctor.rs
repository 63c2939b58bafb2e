//! `apiece doctor`

use std::{
    io::{self, IsTerminal},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::Args;
use jiff::Timestamp;
use secrecy::SecretString;

use super::{
    Exit, Failure, Format, Screen,
    account::{self, config_file, read_secret},
    load::CampaignArgs,
    record::RecordArgs,
};
use crate::{
    address::Address,
    campaign::{Account, LoginSecret},
    delivery::Trial,
    doctor::{
        Audience, Cause, Check, Checkup, Names, Rehearsed, Sender, Trouble, Verdict, clock, config, dkim_key,
        look_at_domain, look_at_server, outbox, password, skip_domain, skip_server, unsubscribe,
    },
    recipients::Recipient,
    report,
    secret::{NoSecret, SecretSource},
};

/// Why nothing is asked of the network.
const OFFLINE: &str = "--offline: the network is not used";

/// Arguments of `apiece doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Looks at the config file, the password, the outbox, the clock, the server (DNS, connection, TLS,
login, limits, whether it takes mail from the sender and for the same address) and at what the
sender's domain says in the DNS (MX, SPF, DKIM, DMARC). One line for each, and what to do. It asks
the server with MAIL FROM and RCPT TO and takes that back: nothing is sent.

Examples:
  apiece doctor --account work
  apiece doctor update --account work      # with the campaign's sender, sizes and recipients' providers
  apiece doctor --from me@police.example --format json
  apiece doctor --offline                  # only what is on this machine

Exit codes: 0 nothing fails; else that of the first failure: 65 campaign; 69 server unavailable;
73 outbox; 75 try again; 76 no safe connection; 77 refused; 78 configuration or DNS.")]
pub(super) struct Doctor {
    /// A campaign that is to be sent: its sender, its size and its recipients' providers are looked at, too
    campaign: Option<PathBuf>,
    /// The recipient list, where CAMPAIGN is a template
    list: Option<PathBuf>,
    /// The account of your config file to look at
    #[arg(long, value_name = "NAME", env = "APIECE_ACCOUNT", hide_env_values = true)]
    account: Option<String>,
    /// The address to send from [default: the campaign's, or the account's username]
    #[arg(long, value_name = "ADDRESS")]
    from: Option<Address>,
    /// Look only at what is on this machine
    #[arg(long)]
    offline: bool,
    /// The DNS server to ask about the sender's domain [default: those of this machine]
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = resolver)]
    resolver: Option<SocketAddr>,
    /// text, or one JSON document
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    record: RecordArgs,
}

/// An address, or an address and a port.
fn resolver(text: &str) -> Result<SocketAddr, String> {
    let alone = text.trim_matches(['[', ']']).parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
    alone.or_else(|_| text.parse()).map_err(|_| "this is an address such as 192.0.2.53 or [2001:db8::53]:53".into())
}

/// What is known of the campaign.
#[derive(Default)]
struct Campaign {
    account: Option<String>,
    from: Option<Address>,
    largest: Option<u64>,
    audience: Option<Audience>,
}

impl Doctor {
    pub(super) fn run(self, screen: Screen) -> Result<Exit, Failure> {
        let is_text = self.format == Format::Text;
        let mut tell = |check: &Check| {
            let is_wrong = matches!(check.verdict, Verdict::Warning | Verdict::Failure(_));
            if is_text && (is_wrong || !screen.quiet) {
                Screen::print_always(&check.text(&word(check.verdict, screen)));
            }
        };
        let mut checkup = Checkup::new(&mut tell);
        let (campaign, file) = self.campaign(screen);
        let name = self.account.as_deref().or(campaign.account.as_deref());
        let account = self.look_at_machine(&mut checkup, name);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime =
            runtime.map_err(|why| Failure::because(Exit::Software, "doctor.runtime", why.to_string(), None))?;
        let secret = self.secret(&mut checkup, account.as_ref(), &runtime);
        let signer = dkim_key(&mut checkup, account.as_ref().and_then(|account| account.dkim.as_ref()));
        let now = Timestamp::now();
        let last = outbox(&mut checkup, self.record.location().map_err(|why| Trouble::from(&why.why)));
        clock(&mut checkup, now, last);
        if let Some(check) = file {
            checkup.add(check);
        }
        let from = self.sender(&campaign, account.as_ref());
        runtime.block_on(async {
            let servers = match &account {
                None => {
                    skip_server(&mut checkup, "there is no account");
                    Vec::new()
                }
                Some(_) if self.offline => {
                    skip_server(&mut checkup, OFFLINE);
                    Vec::new()
                }
                Some(account) => {
                    let trial = from.clone().map(|from| Trial { from, size: campaign.largest });
                    look_at_server(&mut checkup, Rehearsed { account, secret, trial, now }).await
                }
            };
            match &from {
                _ if self.offline => skip_domain(&mut checkup, OFFLINE),
                None => skip_domain(&mut checkup, "no sender is known: name one with --from ADDRESS, or a campaign"),
                Some(from) => {
                    let dkim = account.as_ref().and_then(|account| account.dkim.as_ref());
                    let host = account.as_ref().map(|account| account.host.as_str());
                    let sender = Sender { from, dkim, signer: signer.as_ref(), host, servers: &servers };
                    match Names::new(self.resolver) {
                        Ok(names) => look_at_domain(&mut checkup, &names, sender).await,
                        Err(why) => skip_domain(&mut checkup, &why),
                    }
                }
            }
        });
        runtime.shutdown_background();
        let since = if self.campaign.is_some() { "the campaign cannot be read" } else { "no campaign is named" };
        unsubscribe(&mut checkup, campaign.audience.as_ref(), since, signer.is_some());
        let exit = checkup.first_failure().map_or(Exit::Ok, exit_of);
        if is_text {
            screen.print(&checkup.counts());
        } else {
            let account = account.as_ref().map(|account| account.name.as_str());
            let from = from.as_ref().map(Address::as_str);
            report::print(&format!("{:#}\n", checkup.json(account, from, exit.code())));
        }
        Ok(exit)
    }

    /// The account, if it can be told.
    fn look_at_machine(&self, checkup: &mut Checkup<'_>, name: Option<&str>) -> Option<Account> {
        let account = account::choose(self.record.config.file(), name).map_err(|failure| Trouble::from(&failure.why));
        match config_file(self.record.config.file()) {
            Ok((file, _)) => config(checkup, &file, account.as_ref()),
            Err(failure) => {
                let Trouble { why, help } = Trouble::from(&failure.why);
                let check = Check::failure("config", "config file", Cause::Configuration, why);
                checkup.add(help.iter().fold(check, Check::to_do));
            }
        }
        account.ok()
    }

    /// Reads the campaign and makes its messages, if one is named.
    fn campaign(&self, screen: Screen) -> (Campaign, Option<Check>) {
        let Some(campaign) = &self.campaign else { return (Campaign::default(), None) };
        let what = format!("campaign {}", campaign.display());
        let arguments = CampaignArgs::plain(campaign.clone(), self.list.clone(), self.record.clone());
        let read = arguments.load(|_| {}).and_then(|loaded| {
            let prepared = loaded.prepare(loaded.select(None)?, screen)?;
            Ok((loaded, prepared))
        });
        let (loaded, prepared) = match read {
            Ok(read) => read,
            Err(failure) => {
                // Only that something is wrong: what is may hold people's data.
                let errors = failure.why.iter().filter(|one| one.is_error()).count();
                let finding = format!("{} in it", crate::diagnostic::counted(errors.max(1), "mistake"));
                let check = Check::failure("campaign", what, Cause::Data, finding);
                return (Campaign::default(), Some(check.to_do(format!("apiece check {}", arguments.typed()))));
            }
        };
        let first = loaded.composer.compose(0).ok();
        let from = first.as_ref().map(|message| message.envelope().from().clone());
        let mut audience = Audience::new(first.is_some_and(|message| message.unsubscribe().is_some()));
        loaded.list().iter().map(Recipient::address).for_each(|address| audience.add(&address));
        let largest = prepared.largest();
        let recipients = crate::diagnostic::counted(prepared.len(), "recipient");
        let check = Check::ok("campaign", what, format!("{recipients}, the largest message has {largest} bytes"));
        let account = loaded.campaign.account.clone();
        (Campaign { account, from, largest: Some(largest as u64), audience: Some(audience) }, Some(check))
    }

    /// The password. Without a terminal nobody is asked, and without the network no program that may use it.
    fn secret(
        &self,
        checkup: &mut Checkup<'_>,
        account: Option<&Account>,
        runtime: &tokio::runtime::Runtime,
    ) -> Option<SecretString> {
        let source = account.and_then(|account| account.login.as_ref()).map(|login| &login.secret);
        let is_here = matches!(
            source,
            Some(LoginSecret::Password(SecretSource::File(_) | SecretSource::Env(_) | SecretSource::Credential(_)))
        );
        let (read, why) = match account {
            Some(_) if self.offline && !is_here => (Ok(None), OFFLINE),
            Some(_) if source.is_some_and(LoginSecret::is_asked_for) && !io::stdin().is_terminal() => {
                (Ok(None), "there is no terminal to ask at")
            }
            Some(account) => (given(account, runtime), ""),
            None => (Ok(None), ""),
        };
        password(checkup, account, read.as_ref().map(|secret| secret.as_ref().map(drop).ok_or(why)));
        read.ok().flatten()
    }

    /// The address to send from: as it is named, the campaign's, or who logs in.
    fn sender(&self, campaign: &Campaign, account: Option<&Account>) -> Option<Address> {
        let own = || account?.login.as_ref()?.username.parse().ok();
        self.from.clone().or_else(|| campaign.from.clone()).or_else(own)
    }
}

/// What would be logged in with now: for a token it may take a word with whoever issues it.
fn given(account: &Account, runtime: &tokio::runtime::Runtime) -> Result<Option<SecretString>, Trouble> {
    let secrets = read_secret(account).map_err(|failure| Trouble::from(&failure.why))?;
    let Some(secrets) = secrets else { return Ok(None) };
    let given = runtime.block_on(async {
        let given = secrets.give(None).await;
        secrets.settled().await;
        given
    });
    match given {
        Ok(given) => Ok(given.map(|given| given.secret)),
        Err(NoSecret { why, help, .. }) => Err(Trouble { why, help }),
    }
}

fn exit_of(cause: Cause) -> Exit {
    match cause {
        Cause::Configuration => Exit::Configuration,
        Cause::Data => Exit::Data,
        Cause::Unavailable => Exit::Unavailable,
        Cause::TryAgain => Exit::TryAgain,
        Cause::Insecure => Exit::Protocol,
        Cause::Refused => Exit::Refused,
        Cause::NoRecord => Exit::CannotCreate,
    }
}

/// The word for what a check came to, in its colour.
fn word(verdict: Verdict, screen: Screen) -> String {
    let colour = match verdict {
        Verdict::Ok => 32,
        Verdict::Note => 36,
        Verdict::Warning => 33,
        Verdict::Failure(_) => 31,
        Verdict::Skipped => 2,
    };
    let word = verdict.word();
    if screen.results { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() }
}
