//! What is written for systemd, cron, launchd and Windows starts just what was meant, when it was meant, and is shut in.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{Home, Run, people, skip};

const CREDENTIAL: &str = "[account.work]\nhost = \"smtp.example.org\"\nusername = \"case.team@example.org\"\ncredential = \"smtp-password\"\n";

fn home() -> Home {
    let home = Home::new();
    home.config(CREDENTIAL);
    home.campaign(&people(12));
    home
}

/// `apiece schedule` with the usual arguments of `send`.
fn schedule(home: &Home, arguments: &[&str]) -> Run {
    home.run(&[&["schedule", "c"], arguments, &["--", "--confirm", "12"]].concat())
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Has systemd read units of a directory; gives what it says of them.
fn verified(directory: &Path, user: &str) -> String {
    let units = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    // A unit with an @ is looked at with the one that starts it.
    let units: Vec<_> = units.filter(|path| !path.to_str().unwrap().contains('@')).collect();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", user])
        .args(&units)
        .env("XDG_RUNTIME_DIR", directory)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    said
}

/// The words of the line that systemd would start, as it takes them apart.
fn started(unit: &str) -> String {
    unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap().to_owned()
}

#[test]
fn systemd_takes_the_units_of_a_person_and_of_a_machine() {
    if !is_there("systemd-analyze") {
        return skip("systemd-analyze is missing (Debian package systemd)");
    }
    let home = home();
    let when = ["--on-calendar", "Mon..Fri 08:30 Europe/London"];
    schedule(&home, &[&when[..], &["--to", "user"]].concat()).ended(0);
    schedule(&home, &[&when[..], &["--to", "system", "--system", "--run-as", "daemon"]].concat()).ended(0);
    for (directory, switch) in [("user", "--user"), ("system", "--system")] {
        let directory = home.path().join(directory);
        let said = verified(&directory, switch);
        assert!(!said.contains("apiece-c"), "{said}");
        let service = fs::read_to_string(directory.join("apiece-c.service")).unwrap();
        let program = env!("CARGO_BIN_EXE_apiece");
        let campaign = home.path().canonicalize().unwrap().join("c");
        assert_eq!(started(&service), format!("{program} send {} --confirm 12", campaign.display()));
        assert!(service.contains("\nLoadCredential=smtp-password:%E/credstore/smtp-password\n"), "{service}");
        assert!(service.contains("\nOnFailure=apiece-failed@%n.service\n"), "{service}");
        assert_eq!(service.contains("\nStateDirectory=apiece\n"), switch == "--system", "{service}");
        let timer = fs::read_to_string(directory.join("apiece-c.timer")).unwrap();
        assert!(timer.contains("\nOnCalendar=Mon..Fri 08:30 Europe/London\nPersistent=yes\n"), "{timer}");
    }
}

/// How exposed systemd finds a service: 0.0 is not at all, 10.0 wholly; "OK" ends below 5.0.
fn exposure(unit: &Path, switch: &str) -> f64 {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--no-pager", switch])
        .arg(unit)
        .env("XDG_RUNTIME_DIR", unit.parent().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = said.lines().rfind(|line| line.contains("Overall exposure level")).unwrap_or_else(|| {
        panic!("{said}{}", String::from_utf8_lossy(&output.stderr));
    });
    last.split(": ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn the_services_are_shut_in() {
    if !is_there("systemd-analyze") {
        return skip("systemd-analyze is missing (Debian package systemd)");
    }
    let home = home();
    schedule(&home, &["--on-calendar", "daily", "--to", "system", "--system", "--run-as", "daemon"]).ended(0);
    let exposed = exposure(&home.path().join("system/apiece-c.service"), "--system");
    assert!(exposed < 2.0, "{exposed}");
}

#[test]
fn the_example_is_as_shut_in_as_what_is_written() {
    let home = home();
    let units = home.run(&[
        "schedule",
        "c",
        "--on-calendar",
        "daily",
        "--system",
        "--run-as",
        "apiece",
        "--",
        "--confirm",
        "12",
    ]);
    let units = units.ended(0).stdout;
    let service = units.split("[Service]\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let example = include_str!("../packaging/systemd/apiece@.service");
    for line in service.lines() {
        let own = ["ExecStart=", "WorkingDirectory="].iter().any(|key| line.starts_with(key));
        assert!(own || example.lines().any(|other| other == line), "{line}");
    }
}

#[test]
fn the_workers_examples_are_taken_and_as_shut_in_as_jobs() {
    if !is_there("systemd-analyze") {
        return skip("systemd-analyze is missing (Debian package systemd)");
    }
    let home = Home::new();
    let job = include_str!("../packaging/systemd/apiece@.service");
    let shut_in = &job[job.find("UMask=").unwrap()..];
    let examples = [
        ("apiece-work.service", "apiece-work.service", include_str!("../docs/examples/apiece-work.service")),
        ("apiece-work@.service", "apiece-work@letters.service", include_str!("../docs/examples/apiece-work@.service")),
    ];
    for (name, instance, unit) in examples {
        let program = env!("CARGO_BIN_EXE_apiece");
        let file = home.write(&format!("units/{name}"), unit.replace("=/usr/bin/apiece ", &format!("={program} ")));
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--system"])
            .arg(file.with_file_name(instance))
            .env("XDG_RUNTIME_DIR", home.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("apiece-work"), "{said}");
        for line in shut_in.lines().filter(|line| *line != "StateDirectory=apiece") {
            assert!(unit.lines().any(|other| other == line), "{name}: {line}");
        }
        for line in ["Type=notify", "WatchdogSec=60", "LimitCORE=0", "KillMode=mixed", "TimeoutStopSec=11min"] {
            assert!(unit.lines().any(|other| other == line), "{name}: {line}");
        }
        assert!(unit.contains("\nStateDirectory=apiece-work"), "{name}");
        let exposed = exposure(&file.with_file_name(instance), "--system");
        assert!(exposed < 2.0, "{name}: {exposed}");
    }
}

#[test]
fn the_workers_in_containers_have_what_they_must() {
    let python = "import yaml, json; print(json.dumps(yaml.safe_load(open('docs/examples/compose.yaml'))))";
    let Ok(output) = Command::new("/usr/bin/python3").args(["-c", python]).output() else {
        return skip("python3 is missing");
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("No module named 'yaml'") {
        return skip("python3-yaml is missing");
    }
    let compose: serde_json::Value = serde_json::from_slice(&output.stdout).expect(&said);
    let services = compose["services"].as_object().unwrap();
    let mut needed: Vec<&str> = services.keys().map(String::as_str).collect();
    needed.sort_unstable();
    assert_eq!(needed, ["database", "migrate", "roles", "worker-1", "worker-2"]);
    let version = concat!("apiece:", env!("CARGO_PKG_VERSION"));
    for (name, service) in services {
        assert!(service["image"] == version || service["image"] == "postgres:15", "{name}");
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let is_secret = variable.contains("PASSWORD") || value.as_str().unwrap().contains("://");
            assert!(!is_secret || value.as_str().unwrap().starts_with("/run/secrets/"), "{name}: {variable}");
        }
        for secret in service["secrets"].as_array().into_iter().flatten() {
            let file = &compose["secrets"][secret.as_str().unwrap()]["file"];
            assert_eq!(file, &format!("secrets/{}", secret.as_str().unwrap()), "{name}");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let volume = volume.as_str().unwrap().split(':').next().unwrap();
            assert!(volume == "./config" || compose["volumes"].as_object().unwrap().contains_key(volume), "{name}");
        }
    }
    assert_eq!(services["migrate"]["command"], serde_json::json!(["outbox", "migrate"]));
    for worker in ["worker-1", "worker-2"] {
        let worker = &services[worker];
        assert_eq!(worker["stop_grace_period"], "11m");
        assert_eq!(worker["healthcheck"]["test"][4], "127.0.0.1:9465");
        assert_eq!(worker["depends_on"]["roles"]["condition"], "service_completed_successfully");
        assert_eq!(worker["read_only"], true);
    }
    assert_ne!(services["worker-1"]["volumes"], services["worker-2"]["volumes"], "each has its own state");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let unit = include_str!("../docs/examples/apiece-work.service");
    let in_unit = words(&started(unit));
    let in_container: Vec<&str> =
        services["worker-1"]["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(in_unit[1..4], in_container[..3]);
}

#[test]
fn each_word_reaches_the_program_as_it_is() {
    let home = home();
    fs::rename(home.path().join("c"), home.path().join("it's 100% \"ours\" $HOME")).unwrap();
    let run = home.run(&[
        "schedule",
        "it's 100% \"ours\" $HOME",
        "--on-calendar",
        "daily",
        "--",
        "--confirm",
        "12",
        "--rate",
        "30/min",
    ]);
    let units = run.ended(0).stdout;
    let command = started(&units);
    let campaign = format!("\"{}/it's 100%% \\\"ours\\\" $$HOME\"", home.path().canonicalize().unwrap().display());
    assert_eq!(command, format!("{} send {campaign} --confirm 12 --rate 30/min", env!("CARGO_BIN_EXE_apiece")));
    // A shell takes cron's line apart.
    let home_of_it = &home;
    home_of_it.config("[account.work]\nhost = \"smtp.example.org\"\nusername = \"u\"\npassword_file = \"p\"\n");
    let line = home.run(&[
        "schedule",
        "it's 100% \"ours\" $HOME",
        "--on-calendar",
        "Mon 09:00",
        "--cron",
        "--",
        "--confirm",
        "12",
    ]);
    let line = line.ended(0).stdout;
    let command = line.lines().nth(1).unwrap().strip_prefix("0 9 * * 1 ").unwrap().replace("\\%", "%");
    let words = command.replace(env!("CARGO_BIN_EXE_apiece"), "printf '%s\\n'");
    let printed = Command::new("sh").args(["-c", &words]).env("HOME", "/nowhere").output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let words: Vec<&str> = printed.lines().collect();
    let campaign = home.path().canonicalize().unwrap().join("it's 100% \"ours\" $HOME");
    assert_eq!(words, ["send", campaign.to_str().unwrap(), "--confirm", "12"]);
}

#[test]
fn what_a_job_could_not_do_is_said_at_once() {
    let home = home();
    let refused = |arguments: &[&str], code: i32, why: &str| {
        let run = home.run(&[&["schedule"], arguments].concat()).ended(code);
        assert!(run.stderr.starts_with(&format!("error: {why}")), "{arguments:?}\n{}", run.stderr);
        assert_eq!(run.stdout, "");
    };
    let daily = ["c", "--on-calendar", "daily"];
    refused(&daily, 64, "a job asks nobody, and it is not said how many people it may write to");
    refused(&[&daily[..], &["--", "--confirm", "12", "--first", "3"]].concat(), 64, "--first asks");
    refused(
        &[&daily[..], &["--", "--confirm", "12", "--nope"]].concat(),
        64,
        "apiece send would not start: unexpected argument",
    );
    refused(&[&daily[..], &["--", "--confirm", "12", "--recipients", "-"]].concat(), 64, "the list is standard input");
    refused(
        &[&daily[..], &["--system", "--", "--confirm", "12"]].concat(),
        64,
        "a job of the machine's systemd needs a user",
    );
    refused(
        &[&daily[..], &["--system", "--run-as", "root", "--", "--confirm", "12"]].concat(),
        64,
        "a job of the machine's systemd needs a user",
    );
    refused(
        &[&daily[..], &["--cron", "--", "--confirm", "12"]].concat(),
        78,
        "credential = \"smtp-password\" is handed over by systemd",
    );
    refused(&["nowhere", "--on-calendar", "daily", "--", "--confirm", "12"], 65, "nowhere");
    refused(&["c", "--on-calendar", "sometimes", "--", "--confirm", "12"], 64, "invalid value 'sometimes'");
    refused(
        &["c", "--at", "2020-01-01 09:00", "--", "--confirm", "12"],
        64,
        "--at is over: it was Wed 2020-01-01 09:00 ",
    );
    refused(&["c", "--at", "Mon 09:00", "--", "--confirm", "12"], 64, "invalid value 'Mon 09:00'");
    refused(
        &["c", "--at", "2031-03-30 01:30 Europe/London", "--", "--confirm", "12"],
        64,
        "invalid value '2031-03-30 01:30 Europe/London'",
    );
    refused(&["c"], 64, "the following required arguments were not provided");
    refused(
        &["c", "--on-calendar", "daily", "--", "--confirm", "99"],
        77,
        "--confirm 99 is said, and there are 12 recipients",
    );
    refused(
        &["c", "--on-calendar", "daily", "--", "--confirm", "12", "--max-recipients", "3"],
        77,
        "there are 12 recipients",
    );
    refused(
        &[&daily[..], &["--", "--confirm", "12", "--again"]].concat(),
        64,
        "--again in a job that comes again would send everybody the same each time",
    );
    refused(
        &[&daily[..], &["--", "--confirm", "12", "--at", "2040-06-01 09:00"]].concat(),
        64,
        "--at for a job that comes again is over at its second time",
    );
    schedule_again_once(&home);
    let late = ["--confirm", "12", "--not-after", "2020-01-01 09:00 UTC"];
    let run = home.run(&[&["schedule"], &daily[..], &["--"], &late].concat()).ended(77).stderr;
    assert!(run.contains(", and nothing is begun after Wed 2020-01-01 09:00 "), "{run}");
    assert!(run.contains(" (not_after): such a job would always be refused\n"), "{run}");
    home.config("[account.work]\nhost = \"smtp.example.org\"\nusername = \"u\"\n");
    refused(
        &[&daily[..], &["--", "--confirm", "12"]].concat(),
        78,
        "the password of account work is asked for at the terminal",
    );
    home.config("[account.work]\nhost = \"smtp.example.org\"\nusername = \"u\"\npassword_env = \"PW\"\n");
    refused(
        &[&daily[..], &["--", "--confirm", "12"]].concat(),
        78,
        "the password of account work is in an environment variable",
    );
    home.write("c/people.csv", "name,email\nA,not an address\n");
    let list = format!("{}/c/people.csv, row 2", home.path().canonicalize().unwrap().display());
    refused(&[&daily[..], &["--", "--confirm", "1"]].concat(), 65, &list);
}

/// Once is what a person has looked at.
fn schedule_again_once(home: &Home) {
    home.run(&["schedule", "c", "--at", "2040-06-01 09:00", "--", "--confirm", "12", "--again"]).ended(0);
}

#[test]
fn a_time_is_read_as_send_reads_it_and_where_it_can_never_be_it_is_refused() {
    let home = home();
    let settings = fs::read_to_string(home.path().join("c/campaign.toml")).unwrap();
    let when = "[send]\nwindow = \"Mon-Fri 09:00-17:00 America/New_York\"\nnot_after = \"2040-06-04 12:00\"\n";
    home.write("c/campaign.toml", format!("{settings}\n{when}"));
    let holiday = home.write("days", "2040-06-01 Founder's Day\n").display().to_string();
    let at = |time: &str, more: &[&str]| {
        home.run(&[&["schedule", "c", "--at", time, "--", "--confirm", "12"], more].concat())
    };
    // Nine o'clock there is 13:00 UTC.
    let open = at("2040-06-01 09:00", &[]).ended(0);
    assert!(open.stdout.contains("\nOnCalendar=2040-06-01 13:00:00 UTC\n"), "{}", open.stdout);
    assert!(open.stderr.starts_with("It begins Fri 2040-06-01 09:00 America/New_York.\n"), "{}", open.stderr);
    let zoned = at("2040-06-01 15:00 Europe/London", &[]).ended(0);
    assert!(zoned.stderr.starts_with("It begins Fri 2040-06-01 10:00 America/New_York.\n"), "{}", zoned.stderr);
    let window = "Mon-Fri 09:00-17:00 America/New_York";
    let end = "not after Mon 2040-06-04 12:00 America/New_York";
    let monday = "it begins Mon 2040-06-04 09:00 America/New_York.\n";
    let closed = at("2040-06-02 10:00", &[]).ended(0).stderr;
    let said = format!(
        "It starts Sat 2040-06-02 10:00 America/New_York, when nothing may be begun ({window}; {end}): {monday}"
    );
    assert!(closed.starts_with(&said), "{closed}");
    let free = at("2040-06-01 09:00", &["--holidays", &holiday]).ended(0).stderr;
    let said = format!(
        "It starts Fri 2040-06-01 09:00 America/New_York, when nothing may be begun ({window}; not on 1 holidays; {end}): {monday}"
    );
    assert!(free.starts_with(&said), "{free}");
    let late = "nothing is begun after Mon 2040-06-04 12:00 America/New_York (not_after), nor outside of its windows: such a job would \
                always be refused\n";
    for (time, shown) in [("2040-06-05 09:00", "Tue 2040-06-05 09:00"), ("2040-06-04 18:00", "Mon 2040-06-04 18:00")] {
        let refused = at(time, &[]).ended(77);
        assert_eq!(refused.stdout, "");
        let said = format!("error: --at is {shown} America/New_York, and {late}");
        assert!(refused.stderr.starts_with(&said), "{}", refused.stderr);
    }
    // What docs advise for a machine that may go down: it comes again, on that day alone.
    let run = home.run(&[
        "schedule",
        "c",
        "--on-calendar",
        "2040-06-01 09..16:0/15",
        "--",
        "--confirm",
        "12",
        "--if-unchanged",
        "finish",
    ]);
    assert!(run.ended(0).stdout.contains("\nOnCalendar=2040-06-01 09..16:0/15\n"));
    // The same where the units are written.
    let run =
        home.run(&["schedule", "c", "--at", "2040-06-01 09:00", "--to", "units", "--", "--confirm", "12"]).ended(0);
    assert_eq!(run.stdout, "3 units written to units\nIt begins Fri 2040-06-01 09:00 America/New_York.\n");
}

#[test]
fn variables_that_are_as_good_as_flags_go_along() {
    let home = home();
    let command = |arguments: &[&str]| {
        let mut command = home.command(&[&["schedule", "c"], arguments, &["--", "--confirm", "12"]].concat());
        command
            .env("XDG_STATE_HOME", "state")
            .env("APIECE_OUTBOX", "o/box.sqlite")
            .env("APIECE_CONFIG", ".config/apiece/config.toml");
        Run::of(command.output().unwrap())
    };
    let units = command(&["--at", "2040-06-01 09:00", "--system", "--run-as", "apiece"]).ended(0).stdout;
    let path = home.path().display();
    assert!(units.contains(&format!("\nEnvironment=APIECE_OUTBOX={path}/o/box.sqlite\n")), "{units}");
    assert!(units.contains(&format!("\nEnvironment=APIECE_CONFIG={path}/.config/apiece/config.toml\n")), "{units}");
    assert!(units.contains(&format!("\nEnvironment=XDG_STATE_HOME={path}/state\n")), "{units}");
    assert!(units.contains(&format!("\nReadWritePaths={path}/o\n")), "{units}");
    assert!(units.contains("\nOnCalendar=2040-06-01 09:00:00 UTC\n"), "{units}");
}

#[test]
fn units_are_installed_written_over_and_removed() {
    let home = home();
    // A stand-in that writes down what it was told; the real one needs a running systemd.
    let told = home.path().join("told");
    home.write("bin/systemctl", format!("#!/bin/sh\necho \"$@\" >> {}\ntest ! -e fail\n", told.display()));
    fs::set_permissions(home.path().join("bin/systemctl"), PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", home.path().join("bin").display(), std::env::var("PATH").unwrap());
    let run = |arguments: &[&str]| Run::of(home.command(arguments).env("PATH", &path).output().unwrap());
    let install = ["schedule", "c", "--on-calendar", "daily", "--install", "--", "--confirm", "12"];
    let said = run(&install).ended(0).stdout;
    assert!(said.starts_with("apiece-c.timer is on. It starts\n"), "{said}");
    assert!(said.contains("~/.config/credstore/smtp-password"), "{said}");
    let units = home.path().join(".config/systemd/user");
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(&units).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["apiece-c.service", "apiece-c.timer", "apiece-failed@.service"]);
    assert_eq!(fs::read_to_string(&told).unwrap(), "--user daemon-reload\n--user enable --now apiece-c.timer\n");
    // What all jobs share may be changed by a person, and stays so.
    home.write(".config/systemd/user/apiece-failed@.service", "[Service]\nExecStart=true\n");
    run(&install).ended(73);
    home.write(
        ".config/systemd/user/apiece-failed@.service",
        "# Written by apiece schedule.\n[Service]\nExecStart=true\n",
    );
    run(&install).ended(0);
    let shared = fs::read_to_string(units.join("apiece-failed@.service")).unwrap();
    assert!(shared.contains("ExecStart=true"), "{shared}");
    // Nor is a job for another campaign of the same name.
    home.write("d/c/campaign.toml", "template = \"../../c/t.txt.hbs\"\nrecipients = \"../../c/people.csv\"\n");
    let refused = run(&["schedule", "d/c", "--on-calendar", "daily", "--install", "--", "--confirm", "12"]).ended(73);
    assert!(refused.stderr.contains("apiece-c.service starts another campaign"), "{}", refused.stderr);
    // Nobody else's unit is written over.
    home.write(".config/systemd/user/apiece-other.timer", "[Timer]\n");
    let refused =
        run(&["schedule", "c", "--name", "other", "--on-calendar", "daily", "--install", "--", "--confirm", "12"]);
    assert!(refused.ended(73).stderr.contains("apiece-other.timer is there already, and is not ours"));
    let failed = run(&["schedule", "--remove", "other"]).ended(64).stderr;
    assert!(failed.starts_with("error: there is no job other in"), "{failed}");
    fs::remove_file(&told).unwrap();
    let removed = run(&["schedule", "--remove", "c"]).ended(0);
    assert_eq!(
        (removed.stdout.as_str(), removed.stderr.as_str()),
        ("apiece-c.timer is off, and its units are gone\n", "")
    );
    assert_eq!(names(), ["apiece-failed@.service", "apiece-other.timer"]);
    // The timer's stamp goes, while it is there and off; the service keeps its state: that is the outbox.
    assert_eq!(
        fs::read_to_string(&told).unwrap(),
        "--user disable --now apiece-c.timer\n--user clean --what=state apiece-c.timer\n--user daemon-reload\n"
    );
    // An old systemd cannot; the job is gone all the same.
    run(&install).ended(0);
    home.write(
        "bin/systemctl",
        "#!/bin/sh\ncase \"$*\" in *clean*) echo 'Unknown operation clean.' >&2; exit 1;; esac\n",
    );
    let removed = run(&["schedule", "--remove", "c"]).ended(0);
    assert_eq!(removed.stdout, "apiece-c.timer is off, and its units are gone\n");
    let stamp = home.path().join(".local/share/systemd/timers/stamp-apiece-c.timer");
    let said = format!(
        "systemctl --user clean --what=state apiece-c.timer failed: Unknown operation clean.\nWhen the job came last stays written down, \
         if it did: {} can be deleted.\n",
        stamp.display()
    );
    assert_eq!(removed.stderr, said);
    assert_eq!(names(), ["apiece-failed@.service", "apiece-other.timer"]);
    home.write("bin/systemctl", format!("#!/bin/sh\necho \"$@\" >> {}\ntest ! -e fail\n", told.display()));
    home.write("fail", "");
    let failed = run(&install).ended(69).stderr;
    assert!(failed.starts_with("error: systemctl --user daemon-reload failed"), "{failed}");
}

#[test]
fn other_schedulers_files_are_read_by_other_programs() {
    if !is_there("/usr/bin/python3") {
        return skip("python3 is missing");
    }
    let home = home();
    home.config("[account.work]\nhost = \"smtp.example.org\"\nusername = \"u\"\npassword_file = \"p\"\n");
    let reads = |program: &str, text: &str| {
        let file = home.write("file", text);
        let output = Command::new("/usr/bin/python3").args(["-c", program]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let list = schedule(&home, &["--on-calendar", "Mon,Fri 09:00", "--launchd"]).ended(0).stdout;
    let program = "import plistlib, sys, json; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let list: serde_json::Value = serde_json::from_str(&reads(program, &list)).unwrap();
    assert_eq!(list["ProgramArguments"][1], "send");
    assert_eq!(list["ProgramArguments"][4], "12");
    let time = |weekday: u8| serde_json::json!({ "Weekday": weekday, "Hour": 9, "Minute": 0 });
    assert_eq!(list["StartCalendarInterval"], serde_json::json!([time(1), time(5)]));
    let task = schedule(&home, &["--on-calendar", "Mon,Fri 09:00", "--windows-task"]).ended(0).stdout;
    let program = "import sys, xml.etree.ElementTree as e; t = e.parse(sys.argv[1]); n = '{http://schemas.microsoft.com/windows/2004/02/mit/task}'; \
                   print(t.findtext(f'.//{n}StartBoundary'), [d.tag[len(n):] for d in t.find(f'.//{n}DaysOfWeek')], t.findtext(f'.//{n}Arguments'))";
    let read = reads(program, &task);
    assert!(read.starts_with("2026-01-01T09:00:00 ['Monday', 'Friday'] send "), "{read}");
    let refused = schedule(&home, &["--on-calendar", "Mon 09:00 Asia/Kathmandu", "--cron"]).ended(64).stderr;
    assert!(
        refused.starts_with("error: cron goes by this machine's time zone, and cannot be told Asia/Kathmandu"),
        "{refused}"
    );
    let arguments = ["schedule", "c", "--on-calendar", "Mon 09:00", "--cron", "--", "--expect-between", "1..20"];
    assert!(home.run(&arguments).ended(0).stdout.ends_with(" --expect-between 1..20\n"));
    let refused = schedule(&home, &["--at", "2040-06-01 09:00", "--cron"]).ended(64).stderr;
    assert!(refused.starts_with("error: cron cannot be told a year"), "{refused}");
}

#[test]
fn a_job_has_the_password_of_the_outbox_as_well_or_is_refused() {
    let home = home();
    let outbox = |password: &str| {
        home.config(&format!("{CREDENTIAL}[outbox]\naddress = \"postgres://a@db.example/mail\"\n{password}\n"));
    };
    let daily = ["--on-calendar", "daily"];
    outbox("credential = \"outbox-password\"");
    let units = schedule(&home, &daily).ended(0).stdout;
    for name in ["smtp-password", "outbox-password"] {
        assert!(units.contains(&format!("\nLoadCredential={name}:%E/credstore/{name}\n")), "{units}");
    }
    outbox("password_env = \"P\"");
    let refused = schedule(&home, &daily).ended(78).stderr;
    assert!(refused.contains("the password of the outbox is in an environment variable"), "{refused}");
    outbox("keyring = true");
    schedule(&home, &daily).ended(0);
    let refused = schedule(&home, &[&daily[..], &["--system", "--run-as", "daemon"]].concat()).ended(78).stderr;
    assert!(refused.contains("the password of the outbox is in your keyring"), "{refused}");
}
