//! Several workers send the campaigns of one database together: whatever becomes of them, of the database or of the network between,
//! each person is written to once, or it is said that nobody knows; and no limit of the account is ever passed, at the server.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    nobody_gets_it_twice::{STEPS, agree},
    support::{
        Home, Record, Run, account, people,
        postgres::{ADMIN, Cluster},
        scripted::{Act, Builder, Scripted, Stage, Tls},
    },
    the_pace_is_kept::fullest,
    what_a_server_may_do::each,
};

pub(crate) fn server() -> Builder {
    Scripted::builder().tls(Tls::Implicit).auth("u", "secret")
}

/// A machine with a campaign to so many people, and an account with further lines.
pub(crate) fn home(server: &Scripted, count: usize, more: &str) -> Home {
    at(Home::new().with(Record::Postgres), server, count, more)
}

fn at(home: Home, server: &Scripted, count: usize, more: &str) -> Home {
    home.campaign(&people(count));
    let more = format!("username = \"u\"\npassword_env = \"P\"\n{more}");
    home.config(&account(server.port(), server.ca_file(), "implicit", &more));
    home
}

pub(crate) fn hand_over(home: &Home, count: usize) -> String {
    let confirm = count.to_string();
    let mut command = home.command(&["send", "c", "--account", "work", "--confirm", &confirm, "--queue"]);
    let run = Run::of(command.env("P", "secret").output().unwrap()).ended(0);
    assert!(run.stdout.contains(" is handed over: "), "{}", run.stdout);
    home.last_campaign()
}

pub(crate) fn work(home: &Home, more: &[&str]) -> Child {
    let mut command = home.command(&[&["work", "--account", "work", "--log", "human"], more].concat());
    command.env("P", "secret").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn ended(worker: Child) -> Run {
    Run::of(worker.wait_with_output().unwrap())
}

pub(crate) fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    *seed >> 33
}

#[test]
fn each_gets_one_message_by_whichever_of_four_workers() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(5))).start();
    let home = home(&server, 1000, "connections = 8");
    hand_over(&home, 1000);
    let workers: Vec<_> = (0..4).map(|_| work(&home, &["--until-done", "--connections", "2"])).collect();
    for worker in workers {
        let run = ended(worker).ended(0);
        assert!(run.stdout.is_empty(), "{}", run.stdout);
        assert!(!run.stderr.contains("list.example"), "{}", run.stderr);
    }
    assert_eq!((agree(&home, &server, 1000), server.accepted().len()), (0, 1000));
    assert!(server.max_parallel() > 2 && server.max_parallel() <= 8, "{}", server.max_parallel());
    let status = home.run(&["status", &home.last_campaign()]).ended(0).stdout;
    for deed in ["handed over by", "started by", "stopped by"] {
        assert_eq!(status.matches(deed).count(), 1, "{status}");
    }
    home.run(&["verify", &home.last_campaign()]).ended(0);
}

#[test]
fn what_nobody_confirmed_or_approved_is_not_sent() {
    let server = server().start();
    let home = home(&server, 3, "");
    home.run(&["prepare", "c"]).ended(0);
    ended(work(&home, &["--until-done"])).ended(0);
    assert_eq!(server.deliveries().len(), 0);
    let refused = home.run(&["send", "c", "--account", "work", "--queue", "--confirm", "4"]).ended(77);
    assert!(refused.stderr.contains("4"), "{}", refused.stderr);
    ended(work(&home, &["--until-done"])).ended(0);
    assert_eq!(server.deliveries().len(), 0);
    // A file has no workers.
    let file = home.path().join("own.sqlite").display().to_string();
    let run = home.run(&["work", "--account", "work", "--outbox", &file]).ended(78);
    assert!(run.stderr.contains("is a file, which workers cannot share"), "{}", run.stderr);
    home.run(&["send", "c", "--account", "work", "--queue", "--confirm", "3", "--outbox", &file]).ended(78);
    hand_over(&home, 3);
    ended(work(&home, &["--until-done"])).ended(0);
    assert_eq!(server.accepted().len(), 3);
}

#[test]
fn no_window_and_no_number_of_connections_is_ever_passed() {
    let server = server().on(Stage::Mail, Act::Delay(Duration::from_millis(20))).start();
    // As many hundreds as each worker has some of.
    let count = 480;
    let home = home(&server, count, "connections = 3\nrate = [\"60/s\", \"400/min\"]");
    hand_over(&home, count);
    let start = Instant::now();
    let mut workers: Vec<_> = (0..4).map(|_| work(&home, &["--until-done"])).collect();
    // One is gone in the middle of it; what it had been given for the window is not given to others at once.
    assert!(server.wait_until(Duration::from_secs(30), |server| server.sent() > 200));
    assert!(server.max_parallel() > 1, "several send at once");
    workers[0].kill().unwrap();
    workers[0].wait().unwrap();
    for worker in workers.drain(1..) {
        ended(worker).ended(0);
    }
    agree(&home, &server, count);
    let lines = server.lines();
    let mut times: Vec<_> = lines.iter().filter(|line| line.text.starts_with("MAIL")).map(|line| line.at).collect();
    times.sort();
    assert!(fullest(&times, Duration::from_secs(1)) <= 60, "{}", fullest(&times, Duration::from_secs(1)));
    assert!(fullest(&times, Duration::from_secs(60)) <= 400, "{}", fullest(&times, Duration::from_secs(60)));
    assert!(server.max_parallel() <= 3, "{}", server.max_parallel());
    // A minute's window has to pass, and hardly more.
    assert!(start.elapsed() < Duration::from_secs(110), "{:?}", start.elapsed());
}

#[test]
fn whoever_wants_a_campaign_gets_it_from_the_workers() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(20))).start();
    let home = home(&server, 600, "connections = 2");
    let id = hand_over(&home, 600);
    let worker = work(&home, &[]);
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() > 20));
    let status = home.run(&["status", &id]).ended(0).stdout;
    assert!(status.contains("Running     process "), "{status}");
    // All of it that is not sent is taken back while a worker sends.
    let cancelled = home.run(&["cancel", &id]).ended(0).stdout;
    let sent = server.accepted().len();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(server.accepted().len(), sent, "nothing is sent behind that");
    assert!(cancelled.contains(&format!("{} messages cancelled", 600 - sent)), "{sent}: {cancelled}");
    // What a person wants to be sent after all, the workers send.
    let retried = home.run(&["retry", &id, "--cancelled", "--row", "601"]).ended(0).stdout;
    assert!(retried.contains(&format!("apiece send {id} --queue hands them over")), "{retried}");
    let status = home.run(&["status", &id]).ended(0).stdout;
    assert!(status.contains("Halted") && status.contains("messages were queued again"), "{status}");
    let mut command = home.command(&["send", &id, "--account", "work", "--confirm", "1", "--queue"]);
    Run::of(command.env("P", "secret").output().unwrap()).ended(0);
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() == sent + 1));
    signal(&worker, "TERM");
    ended(worker).ended(0);
    assert_eq!(server.deliveries().len(), sent + 1);
}

#[test]
fn told_to_stop_it_finishes_what_is_under_way_and_gives_the_rest_back() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(300))).start();
    let home = home(&server, 250, "connections = 2");
    hand_over(&home, 250);
    let worker = work(&home, &[]);
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() > 3));
    signal(&worker, "TERM");
    let stopped = Instant::now();
    ended(worker).ended(0);
    assert!(stopped.elapsed() < Duration::from_secs(3), "{:?}", stopped.elapsed());
    let sent = server.accepted().len();
    assert_eq!(server.deliveries().len(), sent);
    let status = home.run(&["status", &home.last_campaign()]).ended(0).stdout;
    assert!(
        status.contains(&format!("{} queued, {sent} sent", 250 - sent)) && !status.contains("in doubt"),
        "{status}"
    );
    // The next one has all of it at once.
    let worker = work(&home, &["--until-done"]);
    assert!(server.wait_until(Duration::from_secs(5), |server| server.accepted().len() > sent + 3));
    signal(&worker, "TERM");
    ended(worker).ended(0);
}

/// Four workers that are killed, as the database is, again and again without a warning; how many of the messages are in doubt.
#[allow(clippy::print_stdout, reason = "with --nocapture it is seen how often it was killed")]
fn killed_at_random(count: usize, kills: usize, seed: u64) -> usize {
    let mut cluster = Cluster::start(&[]);
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(15))).start();
    let home = at(Home::new().with_outbox(&cluster.database()), &server, count, "connections = 200\nrate = \"400/s\"");
    home.run(&["outbox", "migrate"]).ended(0);
    hand_over(&home, count);
    let mut seed = seed;
    // The connections of those that are killed count for a while.
    let start = || work(&home, &["--until-done", "--connections", "2"]);
    let mut workers: Vec<Child> = (0..4).map(|_| start()).collect();
    let (mut killed, mut databases) = (0, 0);
    while killed + databases < kills {
        // In the middle of it, wherever that is.
        let next = server.sent() + usize::try_from(random(&mut seed)).unwrap() % (count / kills);
        server.wait_until(Duration::from_secs(20), |server| server.sent() >= next);
        std::thread::sleep(Duration::from_millis(random(&mut seed) % 30));
        if (killed + databases) % 6 == 3 {
            cluster.kill();
            std::thread::sleep(Duration::from_millis(random(&mut seed) % 500));
            cluster.run();
            databases += 1;
        } else {
            let nth = usize::try_from(random(&mut seed) % 4).unwrap();
            workers[nth].kill().unwrap();
            workers[nth].wait().unwrap();
            workers[nth] = start();
            killed += 1;
        }
    }
    for worker in workers {
        let run = ended(worker);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let in_doubt = agree(&home, &server, count);
    let sum = server.deliveries().len();
    println!(
        "{count} messages: {killed} workers and {databases} databases killed, {in_doubt} in doubt, {sum} delivered"
    );
    assert!(in_doubt <= 2 * killed, "{in_doubt}");
    let mut times: Vec<_> =
        server.lines().iter().filter(|line| line.text.starts_with("MAIL")).map(|line| line.at).collect();
    times.sort();
    assert!(fullest(&times, Duration::from_secs(1)) <= 400, "{}", fullest(&times, Duration::from_secs(1)));
    home.run(&["verify", &home.last_campaign()]).ended(0);
    in_doubt
}

#[test]
fn workers_and_the_database_are_killed_at_any_moment() {
    if std::env::var_os("APIECE_LONG").is_some() {
        for seed in 0..4 {
            let in_doubt = killed_at_random(8000, 80, 11 + seed);
            assert!(in_doubt > 10, "they were killed in the middle of it: {in_doubt}");
        }
    } else {
        killed_at_random(1200, 12, 5);
    }
}

#[test]
fn a_worker_that_is_paused_past_its_lease_writes_nothing_any_more() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(30))).start();
    let home = home(&server, 1500, "connections = 2");
    hand_over(&home, 1500);
    let sleeper = work(&home, &["--until-done"]);
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() > 10));
    signal(&sleeper, "STOP");
    let before = server.deliveries().len();
    let other = work(&home, &["--until-done"]);
    // Once it was not heard of for the term of its lease it holds up nobody, although its connections are open still.
    assert!(server.wait_until(Duration::from_secs(60), |server| server.deliveries().len() > before + 100));
    signal(&sleeper, "CONT");
    ended(other).ended(0);
    let sleeper = ended(sleeper).ended(0);
    assert!(sleeper.stderr.contains("outbox_away"), "{}", sleeper.stderr);
    let in_doubt = agree(&home, &server, 1500);
    assert!(in_doubt <= 2, "{in_doubt}");
}

/// What lies between a worker and its database: it can be cut without either hearing of it, and mended.
struct Wire {
    port: u16,
    is_cut: Arc<AtomicBool>,
}

impl Wire {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = Arc::clone(&is_cut);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(database) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                for (from, to) in [(&client, &database), (&database, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let cut = Arc::clone(&cut);
                    std::thread::spawn(move || {
                        let mut octets = [0; 65536];
                        while let Ok(count @ 1..) = from.read(&mut octets) {
                            while cut.load(Ordering::SeqCst) {
                                std::thread::sleep(Duration::from_millis(5));
                            }
                            if to.write_all(&octets[..count]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { port: own, is_cut }
    }
}

#[test]
fn a_network_that_is_cut_loses_and_doubles_nothing() {
    let cluster = Cluster::start(&["listen_addresses=127.0.0.1"]);
    cluster.allow("host all all 127.0.0.1/32 trust");
    let direct = cluster.database();
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(30))).start();
    let wire = Wire::to(cluster.port);
    let home = at(Home::new().with_outbox(&direct), &server, 1200, "connections = 4");
    home.run(&["outbox", "migrate"]).ended(0);
    hand_over(&home, 1200);
    let name = Cluster::name_of(&direct);
    let by_wire = format!("postgres://{ADMIN}@127.0.0.1:{}/{name}?sslmode=disable", wire.port);
    let cut_off = work(&home, &["--until-done", "--outbox", &by_wire]);
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() > 20));
    wire.is_cut.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(300));
    let before = server.deliveries().len();
    std::thread::sleep(Duration::from_secs(1));
    assert!(server.deliveries().len() <= before + 4, "nothing is sent without its mark");
    let other = work(&home, &["--until-done"]);
    std::thread::sleep(Duration::from_secs(40));
    wire.is_cut.store(false, Ordering::SeqCst);
    ended(other).ended(0);
    ended(cut_off).ended(0);
    // What it knew when it could not write it down, it wrote down when it could: of whom it had just begun with as well.
    assert_eq!(agree(&home, &server, 1200), 0);
}

/// A worker that could not write down what it knows, since the database was away, and that has crashed; so many have a message.
fn outcomes_kept(cluster: &mut Cluster, server: &Scripted, count: usize) -> (Home, usize) {
    let home = at(Home::new().with_outbox(&cluster.database()), server, count, "connections = 2");
    home.run(&["outbox", "migrate"]).ended(0);
    hand_over(&home, count);
    let mut worker = work(&home, &[]);
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() > 3));
    // Two are on the wire.
    std::thread::sleep(Duration::from_millis(100));
    cluster.kill();
    std::thread::sleep(Duration::from_secs(2));
    let sent = server.deliveries().len();
    assert_eq!(server.accepted().len(), sent, "what was on the wire is finished");
    let kept = kept(&home);
    assert!(kept.contains("\"outcome\":\"sent\""), "{kept}");
    worker.kill().unwrap();
    worker.wait().unwrap();
    cluster.run();
    (home, sent)
}

/// What workers keep that they could not write down.
fn kept(home: &Home) -> String {
    let files = std::fs::read_dir(home.path().join(".local/state/apiece/outcomes")).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn an_outcome_is_kept_while_the_database_is_away() {
    let mut cluster = Cluster::start(&[]);
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(400))).start();
    let (home, _) = outcomes_kept(&mut cluster, &server, 40);
    ended(work(&home, &["--until-done"])).ended(0);
    assert_eq!((agree(&home, &server, 40), server.accepted().len()), (0, 40));
    assert_eq!(kept(&home), "");
}

#[test]
fn what_a_server_has_is_not_sent_again_although_somebody_wanted_that() {
    let mut cluster = Cluster::start(&[]);
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(400))).start();
    let (home, sent) = outcomes_kept(&mut cluster, &server, 8);
    assert!(sent < 8, "{sent}");
    let id = home.last_campaign();
    // A worker that is not heard of any more is waited for.
    home.run(&["resolve", &id, "--all", "--send-again"]).ended(0);
    let status = home.run(&["status", &id]).ended(0).stdout;
    assert!(!status.contains("in doubt"), "{status}");
    let (before, _) = status.split_once(" queued").unwrap();
    hand_over(&home, before.rsplit(' ').next().unwrap().parse().unwrap());
    ended(work(&home, &["--until-done"])).ended(0);
    assert_eq!((agree(&home, &server, 8), server.accepted().len()), (0, 8));
    assert_eq!(kept(&home), "");
}

#[test]
fn workers_of_one_version_go_on_while_the_tables_are_those_of_the_next() {
    let server = server().on(Stage::Dot, Act::Delay(Duration::from_millis(30))).start();
    let home = home(&server, 300, "connections = 2");
    let address = home.outbox().to_owned();
    let say = |sql: &str| Cluster::shared().say(Cluster::name_of(&address), sql);
    hand_over(&home, 300);
    let worker = work(&home, &["--until-done"]);
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() > 20));
    // What the script of a next version may do.
    say("ALTER TABLE apiece.message ADD COLUMN further TEXT; ALTER TABLE apiece.slot ADD COLUMN further TEXT;
         INSERT INTO apiece.version (number, oldest) SELECT max(number) + 1, max(number) FROM apiece.version");
    let another = work(&home, &["--until-done"]);
    for worker in [worker, another] {
        ended(worker).ended(0);
    }
    assert_eq!((agree(&home, &server, 300), server.accepted().len()), (0, 300));
    // Of the one behind that it knows nothing.
    say("INSERT INTO apiece.version (number, oldest) SELECT max(number) + 1, max(number) FROM apiece.version");
    let refused = ended(work(&home, &[]));
    assert!(refused.code == 73 && refused.stderr.contains("written by a later apiece"), "{}", refused.stderr);
}

#[test]
fn a_claim_costs_the_same_however_many_wait() {
    let cluster = Cluster::shared();
    let read = |batches: usize| {
        let home = Home::new().with(Record::Postgres);
        let say = |sql: &str| cluster.say(Cluster::name_of(home.outbox()), sql);
        say(&format!(
            "SET search_path = apiece;
             INSERT INTO campaign (id, content, edition, source, name, prepared, total) VALUES ('a', '', 1, '', 'c', 0, 0);
             INSERT INTO queue (campaign, account) VALUES (1, 'work');
             INSERT INTO batch (campaign, first, due) SELECT 1, nth * 100, 0 FROM generate_series(0, {batches} - 1) AS nth;
             INSERT INTO worker VALUES ('one', 'w', '{{work}}', heard_until());"
        ));
        // Others have had the first half, and are done with it.
        say(&format!("SET search_path = apiece; UPDATE batch SET due = NULL WHERE first < {}", batches * 50));
        say("VACUUM ANALYZE apiece.batch");
        let plan = say("SET search_path = apiece; EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF)
             SELECT first FROM batch WHERE campaign = 1 AND holder IS NULL AND due <= (SELECT now_ms())
             ORDER BY due, first LIMIT 1 FOR UPDATE SKIP LOCKED");
        assert!(plan.contains("Index Scan using batch_waiting on batch"), "{plan}");
        let taken = say("SET search_path = apiece; SELECT take_batches('one', 1, 'work', 1)");
        assert_eq!(taken, (batches * 50).to_string());
        let pages = plan.split("Buffers: shared ").nth(1).and_then(|plan| plan.lines().next()).unwrap_or_default();
        let numbers = pages.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<usize>().ok());
        numbers.sum::<usize>()
    };
    // Ten thousand messages, and a million.
    let (few, many) = (read(100), read(10_000));
    assert!(many <= few + 4, "pages read: {few}, {many}");
}

#[test]
fn what_was_approved_is_taken_in_without_another_word() {
    let server = server().start();
    let home = home(&server, 4, "");
    let key = home.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "bo", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    home.write("c/signers", format!("bo@police.example {public}"));
    let settings = "template = \"t.txt.hbs\"\nrecipients = \"people.csv\"\naccount = \"work\"\n\
         [approval]\nrequired = 1\nallowed_signers = \"signers\"\n";
    home.write("c/campaign.toml", settings);
    home.run(&["prepare", "c", "--by", "ann@police.example"]).ended(0);
    let id = home.last_campaign();
    let worker = work(&home, &[]);
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(server.deliveries().len(), 0, "nobody has approved it yet");
    home.run(&["approve", &id, "--key", key.to_str().unwrap(), "--confirm", "4"]).ended(0);
    assert!(server.wait_until(Duration::from_secs(30), |server| server.accepted().len() == 4));
    signal(&worker, "TERM");
    ended(worker).ended(0);
    let status = home.run(&["status", &id]).ended(0).stdout;
    assert!(status.contains("handed over by") && status.contains("it was approved"), "{status}");
}

#[test]
fn a_worker_that_dies_at_any_step_leaves_it_to_the_others() {
    const PEOPLE: usize = 24;
    // Those at which something is under way.
    let steps: Vec<&str> = STEPS.iter().copied().skip_while(|step| *step != "mail").collect();
    each(
        &steps,
        |step| (*step).to_owned(),
        |step| {
            let server = server().start();
            let home = home(&server, PEOPLE, "connections = 2");
            hand_over(&home, PEOPLE);
            let mut command = home.command(&["work", "--account", "work", "--until-done"]);
            let died = command.env("P", "secret").env("APIECE_FAULT", format!("{step}:3")).output().unwrap();
            assert_eq!(
                died.status.code(),
                None,
                "it was to be killed at {step}: {}",
                String::from_utf8_lossy(&died.stderr)
            );
            ended(work(&home, &["--until-done"])).ended(0);
            let in_doubt = agree(&home, &server, PEOPLE);
            assert!(in_doubt <= 2, "{in_doubt}");
            assert!(server.accepted().len() + in_doubt >= PEOPLE);
        },
    );
}
