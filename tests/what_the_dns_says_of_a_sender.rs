//! `doctor` reads what a domain says in the DNS about mail from it: what is wrong, and what to publish. A real DNS server answers.

use crate::support::{
    Home, Run, account,
    dkim::{Key, Kind},
    dns::{Dns, HALF, REFUSED, SLOW},
    scripted::Scripted,
};

const RSET: &str = "nothing was sent";

/// The records of all tests' domains.
fn zones(keys: &[(String, String)]) -> Vec<String> {
    let mut records: Vec<String> = [
        "good.example TXT v=spf1 ip4:127.0.0.0/8 ip6:::1 include:_spf.good.example -all",
        "good.example TXT something else",
        "_spf.good.example TXT v=spf1 a:mail.good.example mx:good.example ?all",
        "_dmarc.good.example TXT v=DMARC1; p=reject; rua=mailto:reports@good.example",
        "elsewhere.example TXT v=spf1 redirect=_spf.good.example",
        "_dmarc.elsewhere.example TXT v=DMARC1; p=none",
        "two.example TXT v=spf1 ip4:127.0.0.1 -all",
        "two.example TXT v=spf1 include:_spf.good.example -all",
        "_dmarc.two.example TXT v=DMARC1; p=none; rua=mailto:a@two.example",
        "_dmarc.two.example TXT v=DMARC1; p=reject",
        "many.example TXT v=spf1 include:_a.many.example include:_b.many.example include:_c.many.example mx -all",
        "_a.many.example TXT v=spf1 a:mail.good.example a:mail.good.example a:mail.good.example -all",
        "_b.many.example TXT v=spf1 a:mail.good.example a:mail.good.example mx:good.example -all",
        "_c.many.example TXT v=spf1 exists:%{i}.many.example ptr -all",
        "_dmarc.many.example TXT v=DMARC1; p=block",
        "voids.example TXT v=spf1 a:x.voids.example a:y.voids.example mx:z.voids.example -all",
        "_dmarc.voids.example TXT v=dmarc1; p=none",
        "open.example TXT v=spf1 +all",
        "_dmarc.open.example TXT v=DMARC1; p=none; rua=mailto:a@good.example,mailto:b@reports.example; pct=50",
        "open.example._report._dmarc.reports.example TXT v=DMARC1",
        "world.example TXT v=spf1 ip4:0.0.0.0/0 -all",
        "shrug.example TXT v=spf1 ip4:192.0.2.1",
        "slip.example TXT v=spf1 ip4:192.0.2.1/33 -all",
        "circle.example TXT v=spf1 include:circle.example include:none.good.example -all",
        "post.org.example TXT v=spf1 mx ~all",
        "_dmarc.org.example TXT v=DMARC1; p=quarantine; sp=none; adkim=s; rua=mailto:a@org.example",
        "silent.example TXT nothing about mail",
        "null.example MX 0 .",
        "pointer.example TXT v=spf1 ip4:127.0.0.1 ptr:pointer.example -all",
        "_dmarc.pointer.example TXT v=DMARC1; p=quarantine; rua=mailto:a@pointer.example",
        "provider.example TXT v=spf1 include:pointer.example ~all",
        "behind.example TXT v=spf1 ip4:127.0.0.1 -all include:_spf.good.example",
        "led.example TXT v=spf1 a:mail.good.example redirect=open.example",
        "broken.example TXT v=spf1 include:slip.example ~all",
        "local.example MX 10 localhost.",
        "literal.example MX 10 192.0.2.25.",
        "alias.example MX 10 mail.good.example.",
        "alias.example MX 20 second.alias.example.",
        "second.alias.example CNAME mail.good.example.",
        "gone.example MX 10 mail.gone.example.",
        "loop.example MX 10 mail.loop.example.",
        "mail.loop.example A 127.0.0.1",
        "mail.loop.example AAAA ::1",
    ]
    .map(str::to_owned)
    .into();
    for domain in [HALF, SLOW] {
        records.push(format!("{domain} TXT v=spf1 ip4:127.0.0.0/8 -all"));
        records.push(format!("_dmarc.{domain} TXT v=DMARC1; p=reject; rua=mailto:a@{domain}"));
    }
    records.push(format!("through.example TXT v=spf1 ip4:127.0.0.1 include:_spf.{HALF} -all"));
    for domain in [
        "good",
        "elsewhere",
        "two",
        "many",
        "voids",
        "open",
        "world",
        "shrug",
        "slip",
        "circle",
        "post.org",
        "pointer",
        "provider",
        "behind",
        "led",
        "broken",
        "through",
    ] {
        records.push(format!("{domain}.example MX 10 mail.good.example."));
    }
    records.push("mail.good.example A 127.0.0.1".into());
    records.push("mail.good.example A 192.0.2.25".into());
    records.extend(keys.iter().map(|(name, value)| format!("{name} TXT {value}")));
    records
}

struct Setting {
    home: Home,
    dns: Dns,
    server: Scripted,
    key: Key,
}

impl Setting {
    fn new() -> Option<Self> {
        let (key, other) = (Key::new(Kind::RsaPkcs8), Key::new(Kind::RsaPkcs8));
        let mut keys = vec![key.record("good.example"), key.record("org.example")];
        keys.push((key.record("shrug.example").0, other.record("shrug.example").1));
        let (name, record) = key.record("slip.example");
        keys.push((name, record.replace("k=rsa;", "k=rsa; t=y;")));
        let dns = Dns::start(&zones(&keys))?;
        let server = Scripted::builder().start();
        Some(Self { home: Home::new(), dns, server, key })
    }

    /// A relay on this machine, that has one address.
    fn account(&self, more: &str) -> String {
        account(self.server.port(), self.server.ca_file(), "none", more).replace("localhost", "127.0.0.1")
    }

    /// Looks at a domain; the account signs for another one, if one is named.
    fn doctor(&self, from: &str, signs_for: Option<&str>) -> Run {
        let signs = signs_for.map(|domain| self.key.settings(domain)).unwrap_or_default();
        self.home.config(&self.account(&signs));
        self.home.run(&["doctor", "--from", from, "--resolver", &self.dns.address()])
    }

    /// What is said about the domain, and the exit code. All else is well.
    #[track_caller]
    fn domain(&self, from: &str, signs_for: Option<&str>) -> (i32, String) {
        let run = self.doctor(from, signs_for);
        let (before, rest) = run.stdout.split_once("MX of ").expect("MX");
        let (before, start) = before.rsplit_once('\n').expect("a line");
        assert!(!before.contains("\nfail") && !before.contains("\nwarn"), "{before}");
        assert!(before.contains(RSET), "{before}");
        let (text, _) = rest.split_once("skipped  bulk rules").expect("bulk");
        (run.code, format!("{start}MX of {text}"))
    }
}

#[test]
fn a_domain_that_is_well_set_up_is_called_so() {
    let Some(setting) = Setting::new() else { return };
    let (code, text) = setting.domain("news@good.example", Some("good.example"));
    assert_eq!(
        text,
        "ok       MX of good.example: it takes mail, at mail.good.example\n\
         ok       SPF of good.example: \"v=spf1 ip4:127.0.0.0/8 ip6:::1 include:_spf.good.example -all\", 3 of 10 look-ups\n\
         ok       SPF and the server: the addresses of 127.0.0.1 may send for the domain; only the provider knows from which addresses mail leaves\n\
         ok       DKIM at rsa8._domainkey.good.example: the published key is ours (RSA, 2048 bits)\n\
         ok       DMARC: p=reject, reports to mailto:reports@good.example\n\
         ok       alignment: DKIM counts, since it signs for good.example; MAIL FROM is the address in From, so that SPF counts where the server leaves it as it is\n"
    );
    assert_eq!(code, 0);
    // Through redirect=, which has `?all` at its end; and reports to nobody.
    let (code, text) = setting.domain("news@elsewhere.example", None);
    assert_eq!(
        text,
        "ok       MX of elsewhere.example: it takes mail, at mail.good.example\n\
         warn     SPF of elsewhere.example: it says nothing about everybody else; it is \"v=spf1 redirect=_spf.good.example\", 3 of 10 look-ups\n         \
         to do: end it in ~all or -all: elsewhere.example. TXT \"v=spf1 include:_spf.good.example ~all\"\n\
         ok       SPF and the server: the addresses of 127.0.0.1 may send for the domain; only the provider knows from which addresses mail leaves\n\
         note     DKIM: the account does not sign; whether the server does cannot be known from here\n         \
         to do: send yourself one with apiece send … --test, and look for dkim=pass in its Authentication-Results\n\
         note     DMARC: p=none, no reports\n         \
         to do: add rua=mailto:postmaster@elsewhere.example: without reports nobody learns who writes as from there\n\
         ok       alignment: MAIL FROM is the address in From, so that SPF counts where the server leaves it as it is; of the server's own signature, \
         d= must be elsewhere.example or of the same organisation\n"
    );
    assert_eq!(code, 0);
    let lines = setting.server.lines();
    assert!(lines.iter().any(|line| line.text == "RSET") && !lines.iter().any(|line| line.text == "DATA"));
    assert!(setting.server.deliveries().is_empty());
}

/// The lines that begin with a name.
#[track_caller]
fn about(text: &str, what: &str) -> String {
    let start = text.find(&format!(" {what}")).unwrap_or_else(|| panic!("{what} in {text}"));
    let start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let mut lines = text[start..].lines();
    let first = lines.next().unwrap().to_owned();
    lines.take_while(|line| line.starts_with(' ')).fold(first, |all, line| all + "\n" + line)
}

#[test]
fn what_is_wrong_with_spf_is_said_with_what_to_publish() {
    let Some(setting) = Setting::new() else { return };
    for (domain, code, said) in [
        ("post.org.example", 0, "ok       SPF of post.org.example: \"v=spf1 mx ~all\", 1 of 10 look-ups"),
        (
            "silent.example",
            78,
            "warn     SPF of silent.example: there is no record, so that no server is known to send for it\n         \
             to do: publish: silent.example. TXT \"v=spf1 mx ~all\"\n         \
             to do: your provider says what stands for its servers; a:… is right where mail leaves from that machine itself",
        ),
        (
            "two.example",
            78,
            "fail     SPF of two.example: there are 2 records, and receivers take that for a mistake and heed none\n         \
             to do: make one of them: two.example. TXT \"v=spf1 include:_spf.good.example ip4:127.0.0.1 -all\"",
        ),
        (
            "many.example",
            78,
            "fail     SPF of many.example: it leads to 12 look-ups, and receivers stop at 10; it is \"v=spf1 include:_a.many.example \
             include:_b.many.example include:_c.many.example mx -all\"\n         \
             to do: take out what is no longer used, or write ip4: and ip6: in place of include:, a and mx",
        ),
        (
            "voids.example",
            78,
            "fail     SPF of voids.example: 3 of its look-ups find nothing, and receivers stop at 2; it is \"v=spf1 a:x.voids.example \
             a:y.voids.example mx:z.voids.example -all\"\n         \
             to do: take out the names that are not there any more: x.voids.example, y.voids.example, z.voids.example",
        ),
        (
            "open.example",
            78,
            "fail     SPF of open.example: it ends in +all, so that anybody in the world may send as this domain; it is \"v=spf1 +all\"\n         \
             to do: end it in ~all or -all, with your own servers in front: open.example. TXT \"v=spf1 mx ~all\"",
        ),
        (
            "world.example",
            78,
            "fail     SPF of world.example: it lets addresses send that nobody can have, and so perhaps the whole world; it is \
             \"v=spf1 ip4:0.0.0.0/0 -all\"\n         \
             to do: name the networks of your own servers alone",
        ),
        (
            "shrug.example",
            0,
            "warn     SPF of shrug.example: it says nothing about everybody else; it is \"v=spf1 ip4:192.0.2.1\", 0 of 10 look-ups\n         \
             to do: end it in ~all or -all: shrug.example. TXT \"v=spf1 ip4:192.0.2.1 ~all\"",
        ),
        (
            "slip.example",
            78,
            "fail     SPF of slip.example: \"ip4:192.0.2.1/33\" is no network; it is \"v=spf1 ip4:192.0.2.1/33 -all\"\n         \
             to do: put \"ip4:192.0.2.1/33\" right, or take it out: slip.example. TXT \"v=spf1 … -all\"",
        ),
        (
            "circle.example",
            78,
            "fail     SPF of circle.example: include:circle.example leads back to itself; include:none.good.example has no SPF record; \
             it is \"v=spf1 include:circle.example include:none.good.example -all\"\n         \
             to do: put \"include:circle.example\" and \"include:none.good.example\" right, or take them out: circle.example. TXT \"v=spf1 … -all\"",
        ),
        (
            "broken.example",
            78,
            "fail     SPF of broken.example: in the record of slip.example, \"ip4:192.0.2.1/33\" is no network; it is \"v=spf1 include:slip.example \
             ~all\"\n         \
             to do: put \"include:slip.example\" right, or take it out: broken.example. TXT \"v=spf1 … ~all\"",
        ),
        (
            "led.example",
            78,
            "fail     SPF of led.example: it ends in +all, so that anybody in the world may send as this domain; it is \"v=spf1 a:mail.good.example \
             redirect=open.example\"\n         \
             to do: end it in ~all or -all, with your own servers in front: led.example. TXT \"v=spf1 a:mail.good.example … ~all\"",
        ),
        (
            "pointer.example",
            0,
            "warn     SPF of pointer.example: it uses ptr, which the standard advises against: it is slow, and some receivers pass over it; it is \
             \"v=spf1 ip4:127.0.0.1 ptr:pointer.example -all\", 1 of 10 look-ups\n         \
             to do: name the servers in place of \"ptr:pointer.example\" by ip4:, ip6:, a: or mx: pointer.example. TXT \"v=spf1 ip4:127.0.0.1 … \
             -all\"",
        ),
        (
            "provider.example",
            0,
            "warn     SPF of provider.example: it uses ptr (in the record of pointer.example), which the standard advises against: it is slow, and \
             some receivers pass over it; it is \"v=spf1 include:pointer.example ~all\", 2 of 10 look-ups\n         \
             to do: name the servers in place of \"include:pointer.example\" by ip4:, ip6:, a: or mx: provider.example. TXT \"v=spf1 … ~all\"",
        ),
        (
            "behind.example",
            0,
            "warn     SPF of behind.example: what stands behind its end counts for nothing: \"include:_spf.good.example\"; it is \"v=spf1 \
             ip4:127.0.0.1 -all include:_spf.good.example\", 0 of 10 look-ups\n         \
             to do: take it out, or have it in front: behind.example. TXT \"v=spf1 ip4:127.0.0.1 include:_spf.good.example -all\"",
        ),
        (
            "through.example",
            0,
            "warn     SPF of through.example: it could not be looked up: it is \"v=spf1 ip4:127.0.0.1 include:_spf.half.example -all\", and \
             include:_spf.half.example could not be looked up (the DNS server answers Server Failure)\n         \
             to do: look at the DNS; --resolver ADDRESS asks another server",
        ),
    ] {
        let (ended, text) = setting.domain(&format!("news@{domain}"), None);
        assert_eq!(about(&text, "SPF of"), said);
        assert_eq!(ended, code, "{text}");
    }
    let (_, text) = setting.domain("news@shrug.example", None);
    assert_eq!(
        about(&text, "SPF and the server"),
        "note     SPF and the server: 127.0.0.1 of 127.0.0.1 is not in the record; only the provider knows from which addresses mail leaves\n         \
         to do: send yourself one with apiece send … --test, and look for spf=pass in its Authentication-Results"
    );
}

#[test]
fn what_is_wrong_with_dkim_is_said_with_what_to_publish() {
    let Some(setting) = Setting::new() else { return };
    let (name, record) = setting.key.record("elsewhere.example");
    let publish = |name: &str| format!("\n         to do: publish: {name}. TXT \"{record}\"");
    let (code, text) = setting.domain("news@elsewhere.example", Some("elsewhere.example"));
    let said =
        format!("fail     DKIM at {name}: no key is published, so that no signature can be checked{}", publish(&name));
    assert_eq!((about(&text, "DKIM at"), code), (said, 78));
    let (name, _) = setting.key.record("shrug.example");
    let (code, text) = setting.domain("news@shrug.example", Some("shrug.example"));
    let why = "the published key is another one than ours, so that no signature holds";
    assert_eq!((about(&text, "DKIM at"), code), (format!("fail     DKIM at {name}: {why}{}", publish(&name)), 78));
    let (name, _) = setting.key.record("slip.example");
    let (_, text) = setting.domain("news@slip.example", Some("slip.example"));
    let said = format!(
        "warn     DKIM at {name}: the published key is ours (RSA, 2048 bits), in test mode (t=y)\n         \
         to do: take t=y out: until then receivers may treat signed mail as if it were not{}",
        publish(&name)
    );
    assert_eq!(about(&text, "DKIM at"), said);
    let (code, text) = setting.domain("news@good.example", Some("elsewhere.example"));
    assert_eq!(
        (about(&text, "DKIM:"), about(&text, "alignment:"), code),
        (
            "fail     DKIM: the sender news@good.example is not of elsewhere.example, for which the account signs\n         \
             to do: send from an address at elsewhere.example, or change domain under dkim in the account"
                .into(),
            "skipped  alignment: the account signs for another domain".into(),
            65
        )
    );
    let run = setting.doctor("news@good.example", Some("good.example"));
    for secret in setting.key.secrets() {
        assert!(!run.stdout.contains(&secret) && !run.stderr.contains(&secret));
    }
}

#[test]
fn what_is_wrong_with_dmarc_is_said_with_what_to_publish() {
    let Some(setting) = Setting::new() else { return };
    let publish = |domain: &str| {
        format!("\n         to do: publish: _dmarc.{domain}. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@{domain}\"")
    };
    for (domain, said) in [
        (
            "shrug.example",
            format!(
                "warn     DMARC: there is no record for shrug.example, so that anybody can write as from there unnoticed{}\n         \
                 to do: read the reports for some weeks before p=quarantine or p=reject",
                publish("shrug.example")
            ),
        ),
        (
            "two.example",
            format!(
                "fail     DMARC: there are 2 records at _dmarc.two.example, and receivers heed none of them{}",
                publish("two.example")
            ),
        ),
        (
            "many.example",
            format!(
                "fail     DMARC: the record at _dmarc.many.example is wrong: p is none, quarantine or reject, and not \"block\"{}",
                publish("many.example")
            ),
        ),
        (
            "voids.example",
            format!(
                "fail     DMARC: what stands at _dmarc.voids.example is no DMARC record: \"v=dmarc1; p=none\"{}",
                publish("voids.example")
            ),
        ),
        (
            "open.example",
            "warn     DMARC: p=none, reports to mailto:a@good.example, mailto:b@reports.example\n         \
             to do: receivers deliver what only claims to be from open.example: once the reports show your own mail passing, p=quarantine\n         \
             to do: take pct out: newer receivers do not know it\n         \
             to do: good.example has not agreed to get reports about open.example; it has to publish: \
             open.example._report._dmarc.good.example. TXT \"v=DMARC1\""
                .into(),
        ),
        (
            "post.org.example",
            "note     DMARC: p=none, reports to mailto:a@org.example, from the record of org.example\n         \
             to do: receivers deliver what only claims to be from post.org.example: once the reports show your own mail passing, sp=quarantine"
                .into(),
        ),
    ] {
        let (_, text) = setting.domain(&format!("news@{domain}"), None);
        assert_eq!(about(&text, "DMARC:"), said);
    }
    // The organisation's record wants signatures of the very domain.
    let (code, text) = setting.domain("news@post.org.example", Some("org.example"));
    assert_eq!(
        (about(&text, "alignment:"), code),
        (
            "warn     alignment: DKIM does not count: the record wants it to sign for post.org.example itself (adkim=s), and it signs for \
             org.example; MAIL FROM is the address in From, so that SPF counts where the server leaves it as it is\n         \
             to do: sign for post.org.example: set domain = \"post.org.example\" under dkim in the account, and publish the key there\n         \
             to do: or take adkim=s out of the DMARC record"
                .into(),
            0
        )
    );
}

#[test]
fn a_domain_without_mail_and_a_dns_that_does_not_answer_are_told_apart() {
    let Some(setting) = Setting::new() else { return };
    let skipped = |since: &str| {
        let names = ["SPF", "SPF and the server", "DKIM", "DMARC", "alignment"];
        names.map(|name| format!("skipped  {name}: {since}\n")).concat()
    };
    let (code, text) = setting.domain("news@nowhere.example", None);
    let said = "fail     MX of nowhere.example: there is no such domain\n         \
                to do: send from a domain that takes mail: receivers refuse senders whom nobody can answer\n";
    assert_eq!((text, code), (said.to_owned() + &skipped("there is no such domain"), 78));
    let (code, text) = setting.domain(&format!("news@{REFUSED}"), None);
    let dns = "it could not be looked up: the DNS server answers Query Refused\n         to do: look at the DNS";
    let other = "; --resolver ADDRESS asks another server";
    let said = format!(
        "warn     MX of refused.example: {dns}{other}\n\
         warn     SPF of refused.example: {dns}{other}\n\
         skipped  SPF and the server: the SPF record is not known\n\
         {NO_KEY}warn     DMARC: {dns}\n\
         skipped  alignment: the DMARC record is not known\n"
    );
    assert_eq!((text, code), (said, 0));
    // A server that never answers is not waited for long, and not asked everything.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (start, place) = (std::time::Instant::now(), silent.local_addr().unwrap().to_string());
    let run = setting.home.run(&["doctor", "--from", "news@good.example", "--resolver", &place]).ended(0);
    assert_eq!(
        about(&run.stdout, "MX of good.example"),
        "warn     MX of good.example: it could not be looked up: no DNS server answers\n         \
         to do: look at the DNS; --resolver ADDRESS asks another server"
    );
    assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
    let (_, text) = setting.domain("news@null.example", None);
    assert!(
        text.starts_with(
            "warn     MX of null.example: it takes no mail (its MX is .), so that answers and bounces get lost\n"
        ),
        "{text}"
    );
    let (code, text) = setting.domain("news@silent.example", None);
    assert!(
        text.starts_with(
            "fail     MX of silent.example: it has neither MX nor address, so that answers and bounces get lost\n"
        ),
        "{text}"
    );
    assert_eq!(code, 78);
}

/// What is said of a key where the account does not sign.
const NO_KEY: &str = "note     DKIM: the account does not sign; whether the server does cannot be known from here\n         \
                      to do: send yourself one with apiece send … --test, and look for dkim=pass in its Authentication-Results\n";

#[test]
fn where_one_question_has_no_answer_the_others_are_asked() {
    let Some(setting) = Setting::new() else { return };
    for (domain, why) in [(HALF, "the DNS server answers Server Failure"), (SLOW, "no DNS server answers")] {
        let (code, text) = setting.domain(&format!("news@{domain}"), None);
        let said = format!(
            "warn     MX of {domain}: it could not be looked up: {why}\n         \
             to do: look at the DNS; --resolver ADDRESS asks another server\n\
             ok       SPF of {domain}: \"v=spf1 ip4:127.0.0.0/8 -all\", 0 of 10 look-ups\n\
             ok       SPF and the server: the addresses of 127.0.0.1 may send for the domain; only the provider knows from which addresses mail leaves\n\
             {NO_KEY}ok       DMARC: p=reject, reports to mailto:a@{domain}\n\
             ok       alignment: MAIL FROM is the address in From, so that SPF counts where the server leaves it as it is; of the server's own \
             signature, d= must be {domain} or of the same organisation\n"
        );
        assert_eq!((text, code), (said, 0));
    }
}

#[test]
fn servers_that_no_answer_reaches_are_said_with_what_to_publish() {
    let Some(setting) = Setting::new() else { return };
    for (domain, why, help) in [
        (
            "local.example",
            "its MX localhost is the very machine that looks it up",
            "publish the name of the server that takes the domain's mail, such as local.example. MX 10 mail.local.example.",
        ),
        (
            "literal.example",
            "its MX names the address 192.0.2.25, and has to name a host",
            "publish: literal.example. MX 10 mail.literal.example. and mail.literal.example. A 192.0.2.25",
        ),
        (
            "alias.example",
            "its MX second.alias.example is an alias (CNAME) of mail.good.example, which no MX may name",
            "publish: alias.example. MX 10 mail.good.example.",
        ),
        (
            "gone.example",
            "its MX mail.gone.example has no address",
            "publish an address of mail.gone.example, or take that MX out",
        ),
        (
            "loop.example",
            "its MX mail.loop.example has an address that only it can reach itself (127.0.0.1)",
            "publish the name of the server that takes the domain's mail, such as loop.example. MX 10 mail.loop.example.",
        ),
    ] {
        let (_, text) = setting.domain(&format!("news@{domain}"), None);
        let said = format!("warn     MX of {domain}: answers and bounces may get lost: {why}\n         to do: {help}");
        assert_eq!(about(&text, "MX of"), said);
    }
}

#[test]
fn bulk_rules_are_looked_at_where_they_hold() {
    let Some(setting) = Setting::new() else { return };
    let rows = |count: usize| (0..count).map(|n| format!("Person {n},p{n}@gmail.com\n")).collect::<String>();
    let doctor = |count: usize, from: &str, more: &str| {
        let signs = setting.key.settings("good.example");
        let signs = if from.ends_with("@good.example") { signs } else { String::new() };
        setting.home.config(&setting.account(&signs));
        setting.home.campaign(&format!("name,email\nBo,bo@two.example\n{}", rows(count)));
        let template =
            format!("+++\nfrom = \"{from}\"\nsubject = \"For {{{{name}}}}\"\n{more}+++\nDear {{{{name}}}},\nhello.\n");
        setting.home.write("c/t.txt.hbs", template);
        let run = setting.home.run(&["doctor", "c", "--resolver", &setting.dns.address()]);
        (about(&run.stdout, "bulk rules"), about(&run.stdout, "one-click unsubscribe"), run.code)
    };
    let click = "unsubscribe = \"https://good.example/u?who={{name}}\"\n";
    let (rules, unsubscribe, code) = doctor(3, "news@good.example", "");
    assert_eq!(
        rules,
        "ok       bulk rules: 3 of 4 recipients at Google; they begin at 5000 a day, over all that is sent from the domain"
    );
    assert_eq!(unsubscribe, "ok       one-click unsubscribe: the messages have none, and so few need none");
    assert_eq!(code, 0);
    let (rules, unsubscribe, code) = doctor(5000, "news@good.example", click);
    assert_eq!(
        rules,
        "ok       bulk rules: 5000 of 5001 recipients at Google, where they hold: SPF, DKIM and DMARC, which were looked at above"
    );
    assert_eq!(
        unsubscribe,
        "ok       one-click unsubscribe: each message has it; the account's DKIM signature covers both headers"
    );
    assert_eq!(code, 0);
    let (rules, unsubscribe, code) = doctor(5000, "news@shrug.example", "");
    assert_eq!(
        rules,
        "fail     bulk rules: 5000 of 5001 recipients at Google, which refuses so many without SPF, DMARC\n         \
         to do: see above; spread the campaign over more days, if that cannot wait"
    );
    assert_eq!(
        unsubscribe,
        "warn     one-click unsubscribe: the messages have none, and Google wants it of what people have subscribed to\n         \
         to do: add unsubscribe = \"https://…\" with a value of each person's own to the template's front matter\n         \
         to do: it may be left out where people must be told something, whether they like it or not"
    );
    assert_eq!(code, 78);
    // What could be better, and is heeded all the same, is there.
    let (rules, ..) = doctor(5000, "news@pointer.example", "");
    assert_eq!(
        rules,
        "ok       bulk rules: 5000 of 5001 recipients at Google, where they hold: SPF, DKIM and DMARC, which were looked at above"
    );
    // What is said has nobody's address in it.
    let run = setting.home.run(&["doctor", "c", "--resolver", &setting.dns.address(), "--format", "json"]);
    assert!(!run.stdout.contains("@gmail.com") && !run.stdout.contains("bo@two.example"));
}
