//! `apiece send`

mod aftermath;
mod careful;
mod deliver;
mod job;
mod log;
mod notify;
mod pace;
#[cfg(feature = "postgres")]
mod queue;
mod words;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::{
    aftermath::{AftermathArgs, SoFar},
    log::Seen,
    pace::{PaceArgs, RetryArgs},
    words::{again, instead_of, left_out, warned},
};
use super::{
    Exit, Failure, Format, Screen,
    account::{self, check_senders, read_secret, read_signer},
    approval::{ByArgs, Witness, clear},
    confirm::{Question, Warnings, check_most, confirm, server, shown, unless_counted},
    expect::ExpectArgs,
    follow,
    load::{CampaignArgs, Frozen, Loaded, quoted},
    prepare::{freeze, warnings},
    record::{OUTBOX_FILE, failed, who},
    when::{self, WhenArgs, check_time},
};
use crate::{
    address::Address,
    approval::Cleared,
    campaign::{self, Account, DomainLimit, Hours, Moment, Rate},
    delivery::Shared,
    fault,
    message::{Composer, Digest, Signer},
    outbox::{Deed, Journal, Location, Outbox, Outcome, Overview, Store, StoreError},
    recipients::{Rows, Selection},
    report::{self, log::step},
};

#[cfg(feature = "postgres")]
pub(super) use self::deliver::schedule;
pub(super) use self::log::{Kind, LogArgs};

/// So many messages in doubt are told one by one before the run goes on.
const MOST_IN_DOUBT: usize = 10;

/// What is still to be sent.
const LEFT: [Outcome; 2] = [Outcome::Queued, Outcome::Deferred];

/// Arguments of `apiece send`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads, makes and inspects every message before the first one leaves; if anything is wrong, nothing
is sent. Ctrl-C finishes what is under way; a second Ctrl-C leaves at once.

Examples:
  apiece send samples/investigation-update --sandbox --confirm 12
  apiece send update --account work                   # asks for the number of recipients
  apiece send update.md.hbs people.csv --account work --confirm 12
  apiece send update --dry-run                        # opens no socket

Exit codes: 0 all sent; 1 some failed or are in doubt; 64 usage; 65 list or template; 69 server
unavailable; 70 fault in apiece; 73, 74 a file or the result cannot be written; 75 try again;
76 no safe connection; 77 refused; 78 configuration; 130 Ctrl-C; 143 SIGTERM.")]
pub(super) struct Send {
    /// The account of your config file to send through
    #[arg(long, value_name = "NAME", env = "APIECE_ACCOUNT", hide_env_values = true)]
    account: Option<String>,
    /// Send without asking, if this is the number of recipients
    #[arg(long, value_name = "N")]
    confirm: Option<usize>,
    /// Send to these rows only, for example 2-5,9 (the headings are row 1)
    #[arg(long, value_name = "ROWS")]
    rows: Option<Rows>,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    retry: RetryArgs,
    /// Wait for this time, for example "2026-12-01 09:00 Europe/London"; one that is over is refused
    #[arg(long, value_name = "TIME", conflicts_with_all = ["dry_run", "sandbox", "test"])]
    at: Option<Moment>,
    #[command(flatten)]
    when: WhenArgs,
    #[command(flatten)]
    expect: ExpectArgs,
    /// Send to the first N only, show what the server said, and ask before the others get theirs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with = "dry_run")]
    first: Option<u32>,
    /// Send one person's message to this address instead, marked in its subject; nothing is written down of it
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["dry_run", "sandbox", "again", "rows", "first"])]
    test: Option<Address>,
    /// Whose message is sent with --test: that of the person in this row [default: the first]
    #[arg(long, value_name = "N", requires = "test")]
    row: Option<u64>,
    /// Do everything but send
    #[arg(long, conflicts_with = "sandbox")]
    dry_run: bool,
    /// Send to a server inside the program, and prove what it got
    #[arg(long)]
    sandbox: bool,
    /// Where the sandbox keeps what it is sent [default: the directory for temporary files]
    #[arg(long, value_name = "DIR", requires = "sandbox")]
    sandbox_dir: Option<PathBuf>,
    /// Send once more what everybody got already
    #[arg(long)]
    again: bool,
    #[cfg(feature = "postgres")]
    #[command(flatten)]
    queue: queue::QueueArgs,
    #[command(flatten)]
    by: ByArgs,
    /// text, or a JSON object for each event
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    aftermath: AftermathArgs,
    #[command(flatten)]
    campaign: CampaignArgs,
    #[arg(skip)]
    so_far: Arc<SoFar>,
}

/// Looks once more whether a campaign may be sent: while somebody waits, somebody else may reject it.
pub(super) type Recheck = Arc<dyn Fn() -> Result<Cleared, Failure> + Sync + std::marker::Send>;

/// A campaign of the record that is about to be sent.
pub(super) struct Ready {
    /// How it is to be sent.
    pub(super) campaign: campaign::Campaign,
    pub(super) composer: Composer,
    /// Addresses that may stand in anybody's message.
    pub(super) allowed: Vec<Address>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) id: String,
    /// Over all that was prepared.
    pub(super) digest: Option<Digest>,
    /// What was remarked then.
    pub(super) warnings: Warnings,
    /// That it may be sent, and whether it still may
    pub(super) cleared: Cleared,
    pub(super) recheck: Recheck,
    /// What it has together with others
    pub(super) shared: Shared,
}

impl Send {
    /// What it says of other people is short, also at a terminal; `check` says all of it.
    pub(super) fn run(self, screen: Screen) -> Exit {
        let quiet = screen.quiet;
        let kind = if self.is_real() { Kind::Real } else { Kind::Rehearsal };
        let ended = self.log.start(self.format, kind, screen).and_then(|seen| self.send(seen, screen));
        let ended = ended.map_err(|failure| failure.briefly().hushed(quiet));
        if let Err(failure) = &ended {
            failure.say(screen);
        }
        Screen::say_where_to_look();
        // Last of all, so that it is the last line.
        self.tell(&ended);
        ended.unwrap_or_else(|failure| failure.exit)
    }

    /// The campaign, with what the arguments say.
    fn load(&self) -> Result<Loaded, Failure> {
        let when = self.when.options()?;
        let loaded = self.campaign.load(|overrides| {
            overrides.account.clone_from(&self.account);
            overrides.rates.clone_from(&self.pace.rate);
            overrides.connections = self.pace.connections.map(usize::from);
            overrides.retry = self.retry.retry();
            overrides.spread = self.pace.spread.then_some(true);
            overrides.hold = self.pace.hold;
            overrides.when = when;
            overrides.at.clone_from(&self.at);
            overrides.expect = self.expect.options();
        });
        loaded.map_err(|why| unless_counted(self.confirm, 0, self.expect.unless_counted(why)))
    }

    fn send(&self, seen: Seen, screen: Screen) -> Result<Exit, Failure> {
        if self.first.is_some() {
            careful::check_terminal()?;
        }
        self.check_aftermath(&self.campaign.name())?;
        let (started, mut loaded) = (Timestamp::now(), self.load()?);
        self.check_aftermath(&loaded.campaign.name)?;
        self.so_far.loaded(&loaded.campaign.name, &loaded.campaign.notify, loaded.composer.template().fixed_sender());
        step("loaded");
        loaded.say_remarks(screen);
        if let Some(tester) = &self.test {
            return self.send_test(loaded, tester, seen, screen);
        }
        let selected = loaded.select(self.rows.as_ref())?;
        let hours = when::hours(&loaded.campaign.when, self.at.as_ref(), started)?;
        if !self.sandbox && !self.dry_run {
            check_time(&hours, Timestamp::now(), !self.retry.no_wait)?;
        }
        self.expect.check_count(&loaded.campaign.expect, selected.len())?;
        if self.dry_run {
            return self.rehearse(&loaded, selected, screen);
        }
        // What is in the record was inspected when it was prepared.
        let is_kept = loaded.origin.is_some() && !self.sandbox;
        if is_kept && self.again {
            let help = Some("prepare it once more from its template and list: apiece prepare CAMPAIGN --again");
            let message = "what was prepared is sent once; --again is for a template and a list";
            return Err(Failure::because(Exit::Usage, "send.again", message, help));
        }
        // What somebody got does not depend on whom else one means to write to now.
        let everybody = Selection::All(loaded.list().len());
        let prepared = if is_kept { None } else { Some(loaded.prepare(everybody, screen)?) };
        if let Some(prepared) = &prepared {
            screen.remark(&prepared.remarks().clone().briefly());
        }
        let name = loaded.campaign.account.as_deref();
        let account = if self.sandbox { None } else { Some(account::choose(self.config(), name)?) };
        self.so_far.chosen(account.as_ref());
        step("account_chosen");
        let server = account.as_ref().map_or("the sandbox in this program; nothing is delivered".into(), server);
        let signer = account.as_ref().and_then(|account| account.dkim.as_ref()).map(read_signer).transpose()?;
        if let Some(signer) = &signer {
            check_senders(signer, &loaded.composer, &selected.iter().collect::<Vec<_>>())?;
        }
        let (place, _gone_at_the_end) = self.record()?;
        #[cfg(feature = "postgres")]
        if self.queue.queue && place.is_file() {
            return Err(failed(StoreError::NoWorkers(place)));
        }
        let mut store = Store::open(&place).map_err(failed)?;
        let id = match (&loaded.origin, prepared) {
            (_, Some(prepared)) => {
                let witness = self.witness(&loaded, account.as_ref())?;
                self.expect.note_move(&loaded, &mut store)?;
                let kept = freeze(&mut loaded, prepared, &selected, self.again, &witness, &mut store, screen);
                kept.map_err(|why| unless_counted(self.confirm, selected.len(), why))?.id
            }
            (Some(origin), None) => origin.id.clone(),
            (None, None) => return Ok(Exit::Software),
        };
        self.so_far.kept(&id);
        step("kept");
        let all = selected.len();
        let mut ready = match self.ready(store, loaded, &id, selected, account.as_ref(), screen)? {
            Ok(ready) => ready,
            Err(exit) => return check_most(self.confirm, all).map(|()| exit),
        };
        let queued = ready.outbox.with(&LEFT);
        let asked = (queued.as_slice(), ready.outbox.len());
        let mut question = self.question(&ready.campaign, &ready.composer, asked, &server, account.as_ref())?;
        question.expect(&hours);
        question.signed = signer.as_ref().map(ToString::to_string);
        question.approved = ready.cleared.by().to_vec();
        question.id = Some(ready.id.clone()).filter(|_| !self.sandbox);
        (question.digest, question.warnings) = (ready.digest, ready.warnings.clone());
        let given = self.confirm.or(self.expect.counts().then_some(question.count));
        confirm(&question, given, screen)?;
        step("confirmed");
        // Somebody may have sat before the question for long.
        ready.cleared = (ready.recheck)()?;
        self.note(&place, &ready, &question)?;
        #[cfg(feature = "postgres")]
        if let Some(account) = account.as_ref().filter(|_| self.queue.queue) {
            return self.hand_over(&place, ready, (&account.name, &question), screen);
        }
        let id = ready.id.clone();
        let ended = self.run_engine(ready, account, signer, Some(hours), seen, screen);
        let (ended, mut details) = match ended {
            Ok((exit, details)) => (Ok(exit), details),
            Err(failure) => (Err(failure), json!({ "why": "it did not begin" })),
        };
        if report::output_was_lost() {
            details["told"] = false.into();
        }
        let stopped = |store: Store| {
            let logged = store.log(&id, Deed { who: &who(), what: "stopped", details: &details }, Timestamp::now());
            store.settle();
            logged
        };
        match (Store::open(&place).and_then(stopped), ended) {
            (Err(why), Ok(Exit::Ok)) => Err(Failure { exit: Exit::Io, ..failed(why) }),
            // Why that cannot be written was said.
            (_, ended) => ended,
        }
    }

    /// Asks for the password if need be, and sends; gives what the log is to know of it.
    fn run_engine(
        &self,
        ready: Ready,
        account: Option<Account>,
        signer: Option<Signer>,
        hours: Option<Hours>,
        seen: Seen,
        screen: Screen,
    ) -> Result<(Exit, Value), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|why| Failure::because(Exit::Software, "send.runtime", why.to_string(), None))?;
        let secret = account.as_ref().map(read_secret).transpose()?.flatten();
        step("password_read");
        let ended = runtime.block_on(self.deliver(ready, account, (secret, signer), hours, (seen, screen)));
        // A name that is still being resolved holds nobody up.
        runtime.shutdown_background();
        ended
    }

    /// Writes down that a person confirmed it, and that it is begun.
    fn note(&self, place: &Location, ready: &Ready, question: &Question) -> Result<(), Failure> {
        let store = Store::open(place).map_err(failed)?;
        let who = who();
        let log = |what, details: Value| {
            store.log(&ready.id, Deed { who: &who, what, details: &details }, Timestamp::now()).map_err(failed)
        };
        let how = match (self.confirm, self.expect.counts()) {
            (Some(_), _) => "--confirm",
            (None, true) => "--expect-between",
            (None, false) => "at a terminal",
        };
        let number = self.confirm.unwrap_or(question.count);
        let digest = ready.digest.map(|digest| digest.to_string());
        log("confirmed", json!({ "number": number, "left": question.count, "how": how, "digest": digest }))?;
        fault::point("confirmed");
        #[cfg(feature = "postgres")]
        if self.queue.queue {
            return Ok(());
        }
        let rates: Vec<String> = question.rates.iter().map(ToString::to_string).collect();
        log("started", json!({ "server": question.server, "rates": rates }))
    }

    /// Does everything but send.
    fn rehearse(&self, loaded: &Loaded, selected: Selection, screen: Screen) -> Result<Exit, Failure> {
        let prepared = loaded.prepare(selected, screen)?;
        screen.remark(&prepared.remarks().clone().briefly());
        let name = loaded.campaign.account.as_deref().unwrap_or("of the config file");
        let server = format!("account {name}, which was not looked at");
        let all: Vec<usize> = prepared.indices().iter().collect();
        let mut question = self.question(&loaded.campaign, &loaded.composer, (&all, all.len()), &server, None)?;
        question.warnings = warnings(loaded, &prepared);
        question.expect(&loaded.campaign.when.hours());
        if let Some(number) = self.confirm {
            confirm(&question, Some(number), screen)?;
        }
        match self.format {
            Format::Json => report::put_dry_run(prepared.len()),
            Format::Text => screen.print(&format!(
                "{}\n{} messages are ready. This was a dry run: nothing was sent.\n",
                question.text(),
                prepared.len()
            )),
        }
        Ok(Exit::Ok)
    }

    /// Takes up a campaign of the record; only an exit code where nobody is left to send to.
    fn ready(
        &self,
        mut store: Store,
        loaded: Loaded,
        id: &str,
        selected: Selection,
        account: Option<&Account>,
        screen: Screen,
    ) -> Result<Result<Ready, Exit>, Failure> {
        let now = Timestamp::now();
        let overview = store.campaign(id).map_err(failed)?;
        overview.check_own().map_err(failed)?;
        let Loaded { campaign, allowed, frozen, composer, .. } = loaded;
        // From here on what was prepared counts, and no longer the files.
        let (frozen, composer) = match frozen {
            Some(frozen) if !self.sandbox => (frozen, composer),
            _ => {
                drop(composer);
                Frozen::thaw(&store, &overview)?
            }
        };
        #[cfg(feature = "postgres")]
        if self.queue.queue {
            queue::check_for_workers(&frozen.settings, &campaign)?;
        }
        let was_begun = store.was_begun(&overview).map_err(failed)?;
        let (taken, messages) = store.take(&overview, now).map_err(failed)?;
        let (messages, taken_back) = store.leave_out(&overview, messages, &who(), now).map_err(failed)?;
        screen.note(&taken_back.map(|back| left_out(&overview.id, &back)).unwrap_or_default());
        // What is sent is what was read, and what was approved.
        if messages.digest() != frozen.messages {
            let why = "it changed meanwhile".to_owned();
            return Err(failed(StoreError::Unsound { id: id.to_owned(), why }));
        }
        // Only now does everybody else see that this is being sent.
        store.check_new(&overview, &|position| selected.contains(position)).map_err(failed)?;
        let counts = messages.counts(&selected);
        let left: usize = LEFT.iter().map(|outcome| counts.of(*outcome)).sum();
        if was_begun || left == 0 {
            let in_doubt = store.tried(&overview, Outcome::InDoubt, MOST_IN_DOUBT).map_err(failed)?;
            screen.note(&again(&overview.id, &counts, &in_doubt));
        } else if let Some(other) = store.unfinished_like(&overview).map_err(failed)? {
            screen.note(&instead_of(&other));
        }
        if left == 0 {
            if !store.is_told(&overview.id).map_err(failed)? {
                let details = json!({ "why": "it was over already" });
                let deed = Deed { who: &who(), what: "stopped", details: &details };
                store.log(&overview.id, deed, now).map_err(failed)?;
            }
            return Ok(Err(if counts.all_sent() { Exit::Ok } else { Exit::SomeNotSent }));
        }
        if !self.sandbox {
            let is_left =
                |position: &usize| messages.outcomes.get(*position).is_some_and(|outcome| LEFT.contains(outcome));
            let left = selected.iter().filter(is_left);
            follow::check_still(&store, &frozen.settings.recipients, composer.list(), left, screen)?;
        }
        let recheck = self.recheck(store.location(), id, frozen, (&campaign, account));
        let cleared = recheck()?;
        let rates = self.all_rates(&campaign, account);
        let name = account.map_or("sandbox", |account| account.name.as_str());
        let longest = rates.iter().map(|rate| rate.window()).max();
        let ledger = longest.map(|longest| taken.ledger(name, longest)).transpose().map_err(failed)?;
        let (of_account, own) = match account {
            Some(account) if !self.sandbox => (&account.domains[..], &campaign.domains[..]),
            _ => (&[][..], &[][..]),
        };
        let domains = taken.domains(name, of_account, own).map_err(failed)?;
        let places = |account: &Account| taken.places(name, account.connections.get(), campaign.connections);
        let places = account.map(places).transpose();
        let places = places.map_err(failed)?.flatten();
        let warnings = warned(&store.entries(&overview.id).map_err(failed)?);
        let journal = Journal::start(store, taken, Some(name.to_owned()));
        let journal = journal.map_err(|why| Failure::because(Exit::Software, "send.journal", why.to_string(), None))?;
        let outbox = Arc::new(Outbox::of(&messages, selected, overview.largest, journal));
        let Overview { id, digest, .. } = overview;
        let shared = Shared { ledger, domains, places };
        Ok(Ok(Ready { campaign, composer, allowed, outbox, id, digest, warnings, cleared, recheck, shared }))
    }

    /// Whether a campaign of the record may be sent with some settings; what goes into the sandbox goes to nobody.
    fn recheck(
        &self,
        place: &Location,
        id: &str,
        frozen: Frozen,
        (settings, account): (&campaign::Campaign, Option<&Account>),
    ) -> Recheck {
        if self.sandbox {
            return Arc::new(|| Ok(Cleared::for_nobody()));
        }
        let (place, id, settings, account) = (place.clone(), id.to_owned(), settings.clone(), account.cloned());
        Arc::new(move || clear(&Store::open(&place).map_err(failed)?, &id, &frozen, &settings, account.as_ref()))
    }

    /// Who prepares, and whether somebody else must approve it. What goes into the sandbox goes to nobody.
    fn witness(&self, loaded: &Loaded, account: Option<&Account>) -> Result<Witness, Failure> {
        if self.sandbox { ByArgs::for_nobody(loaded) } else { self.by.witness(loaded, account) }
    }

    /// The config file, if one is named.
    fn config(&self) -> Option<&Path> {
        self.campaign.record.config.file()
    }

    /// Where the record is. A sandbox has one of its own, whatever is named, since nobody gets anything.
    fn record(&self) -> Result<(Location, Option<TempDir>), Failure> {
        if !self.sandbox {
            return Ok((self.campaign.record.location()?, None));
        }
        let directory = tempfile::Builder::new().prefix("apiece-outbox-").tempdir();
        let directory =
            directory.map_err(|why| Failure::because(Exit::CannotCreate, "outbox.sandbox", why.to_string(), None))?;
        Ok((directory.path().join(OUTBOX_FILE).into(), Some(directory)))
    }

    /// Rates besides the account's. The sandbox is in no hurry, and nobody's limits are at stake.
    fn rates(&self, campaign: &campaign::Campaign) -> Vec<Rate> {
        if self.sandbox { self.pace.rate.clone() } else { campaign.rates.clone() }
    }

    /// The account's rates and the others.
    fn all_rates(&self, campaign: &campaign::Campaign, account: Option<&Account>) -> Vec<Rate> {
        let rates = account.map_or(&[][..], |account| &account.rates);
        rates.iter().copied().chain(self.rates(campaign)).collect()
    }

    /// What may go to some domains.
    fn limits(&self, campaign: &campaign::Campaign, account: Option<&Account>) -> Vec<DomainLimit> {
        if self.sandbox {
            return Vec::new();
        }
        let limits = account.map_or(&[][..], |account| &account.domains);
        DomainLimit::merged(limits.iter().chain(&campaign.domains).cloned())
    }

    /// What is about to be sent to the people at some places of the list, who are so many of all that it is for, through
    /// `server`.
    fn question(
        &self,
        campaign: &campaign::Campaign,
        composer: &Composer,
        (queued, all): (&[usize], usize),
        server: &str,
        account: Option<&Account>,
    ) -> Result<Question, Failure> {
        let compose = |nth| composer.compose(queued[nth]).map_err(|why| Failure::new(Exit::Data, why));
        let rates = self.all_rates(campaign, account);
        let to_domain = |limit: DomainLimit| {
            let at_domain = queued.iter().filter_map(|index| composer.list().get(*index));
            let count = at_domain.filter(|recipient| recipient.address().domain() == limit.domain).count();
            (count, limit.rates)
        };
        let limits = self.limits(campaign, account).into_iter().map(to_domain);
        let limits = limits.chain([(queued.len(), rates.clone())]).collect();
        Ok(Question {
            campaign: campaign.name.clone(),
            id: None,
            digest: None,
            messages: shown(queued.len()).into_iter().map(compose).collect::<Result<_, _>>()?,
            count: queued.len(),
            all,
            server: server.to_owned(),
            approved: Vec::new(),
            signed: None,
            warnings: Warnings::new(),
            rates,
            limits,
            hours: None,
        })
    }

    /// What was typed, as far as it matters for going on.
    fn typed(&self) -> String {
        let mut typed = format!("apiece send {} ", self.campaign.typed());
        let mut flag = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = write!(typed, "--{name} {} ", quoted(&value));
            }
        };
        flag("account", self.account.clone());
        flag("config", self.config().map(|path| path.display().to_string()));
        for rate in &self.pace.rate {
            flag("rate", Some(rate.to_string()));
        }
        flag("connections", self.pace.connections.map(|number| number.to_string()));
        flag("sandbox-dir", self.sandbox_dir.as_ref().map(|path| path.display().to_string()));
        flag("retry-after", self.retry.retry_after.map(|time| time.to_string()));
        flag("tries", self.retry.tries.map(|number| number.to_string()));
        flag("give-up-after", self.retry.give_up_after.map(|time| time.to_string()));
        flag("pause-after", self.retry.pause_after.map(|number| number.to_string()));
        flag("hold", self.pace.hold.map(|time| time.to_string()));
        typed.push_str(&self.when.typed());
        typed.push_str(&self.expect.typed());
        let flags = [("--sandbox ", self.sandbox), ("--no-wait ", self.retry.no_wait), ("--spread ", self.pace.spread)];
        for (flag, is_said) in flags {
            typed.push_str(if is_said { flag } else { "" });
        }
        typed
    }
}
