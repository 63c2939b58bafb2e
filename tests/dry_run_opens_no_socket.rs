//! `check`, `preview` and `send --dry-run` open no socket: the kernel is asked what the program asked of it.

use std::process::Command;

use crate::support::{Home, Run, samples::SAMPLES, skip};

/// The network calls of a run, as strace saw them; `None` where it cannot look.
fn network_calls(home: &Home, arguments: &[&str]) -> Option<(Run, String)> {
    let log = home.path().join("strace");
    let mut command = Command::new("strace");
    command.args(["-f", "-e", "trace=%network", "-o"]).arg(&log).arg(env!("CARGO_BIN_EXE_apiece")).args(arguments);
    let output = command
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .current_dir(home.path())
        .stdin(std::process::Stdio::null())
        .output();
    let Ok(output) = output else {
        skip("strace is not installed (Debian package strace)");
        return None;
    };
    let calls = std::fs::read_to_string(&log).unwrap_or_default();
    if !calls.contains("+++ exited with") {
        skip("strace cannot trace here");
        return None;
    }
    Some((Run::of(output), calls))
}

#[test]
fn looking_before_sending_opens_no_socket() {
    let home = Home::new();
    // An account whose password would be asked of a program, and whose host would have to be resolved.
    home.config("[account.work]\nhost = \"smtp.example\"\nusername = \"u\"\npassword_command = \"touch asked\"\n");
    let sample = SAMPLES[0].path();
    for arguments in [
        &["send", &sample, "--dry-run", "--account", "work"][..],
        &["send", &sample, "--dry-run"],
        &["check", &sample],
        &["preview", &sample],
        &["preview", &sample, "--eml", "out"],
        &["doctor", "--offline", "--account", "work"],
        &["doctor", &sample, "--offline", "--from", "a@police.example"],
    ] {
        let Some((run, calls)) = network_calls(&home, arguments) else { return };
        run.ended(0);
        let opened: Vec<&str> =
            calls.lines().filter(|line| line.contains("socket(") || line.contains("connect(")).collect();
        assert!(opened.is_empty(), "{arguments:?}: {opened:?}");
    }
    assert!(!home.path().join("asked").exists());
    // The same look at a run that does open one, so that an empty result means something.
    let Some((run, calls)) = network_calls(&home, &["send", &sample, "--sandbox", "--confirm", "12"]) else { return };
    run.ended(0);
    assert!(calls.contains("socket(") && calls.contains("connect("));
}

#[test]
fn a_dry_run_shows_what_would_be_sent() {
    let home = Home::new();
    let run = home.run(&["send", &SAMPLES[0].path(), "--dry-run", "--rate", "5/min"]).ended(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(
        lines[..6],
        [
            "Campaign    investigation-update",
            "Subject     Operation Example: an update on your case OE-2041",
            "From        updates@police.example",
            "Server      account of the config file, which was not looked at",
            "Recipients  12, each a message of their own; some of them:",
            "            row 2  amara.okafor@mail.example  Operation Example: an update on your case OE-2041",
        ]
    );
    assert!(lines[9].starts_with("            row 13  lukasz@wojcik.example  "), "{}", run.stdout);
    assert!(lines[10].starts_with("Pace        5/min: at least 2 min, until 20"), "{}", run.stdout);
    assert_eq!(lines[11..], ["", "12 messages are ready. This was a dry run: nothing was sent."]);
}
