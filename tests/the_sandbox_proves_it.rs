//! The sandbox: what it shows is read back from what it kept, and it works for long lists.

use std::{collections::BTreeSet, time::Duration};

use crate::support::{Home, Run, people, samples::SAMPLES};

#[test]
fn the_first_command_sends_the_sample_and_shows_the_proof() {
    let home = Home::new();
    let run = home.run(&["send", &SAMPLES[0].path(), "--sandbox", "--confirm", "12"]).ended(0);
    let (first, rest) = run.stdout.split_once('\n').unwrap();
    assert!(first.starts_with("12 of 12 messages sent in "), "{first}");
    let (proof, directory) = rest.rsplit_once("The messages are in ").unwrap();
    assert_eq!(
        proof,
        "\nProof, read back from what the sandbox kept (nothing was delivered):\n  \
         messages kept                        12\n  \
         envelopes                            12\n  \
         recipients in each envelope          1\n  \
         people with exactly one message      12 of 12 on the list\n  \
         TLS                                  TLSv1.3\n  \
         authenticated                        yes, all\n  \
         messages with another's address      0\n\n"
    );
    let directory = directory.trim_end();
    let names: BTreeSet<String> =
        std::fs::read_dir(directory).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".eml")).count(), 12);
    assert_eq!(names.iter().filter(|name| name.ends_with(".envelope.json")).count(), 12);
    #[cfg(unix)]
    for name in &names {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(std::path::Path::new(directory)), 0o700);
        if name.ends_with(".eml") || name.ends_with(".json") {
            assert_eq!(mode(&std::path::Path::new(directory).join(name)), 0o600, "{name}");
        }
    }
}

#[test]
fn the_wrong_number_sends_nothing() {
    let home = Home::new();
    let run = home.run(&["send", &SAMPLES[0].path(), "--sandbox", "--confirm", "11"]).ended(77);
    assert_eq!(
        run.stderr,
        "error: --confirm says 11, and the number of recipients is 12; nothing was sent\n  help: look at the list; then say the number that is right\n"
    );
    assert_eq!(run.stdout, "");
    let run = home.run(&["send", &SAMPLES[0].path(), "--sandbox"]).ended(77);
    assert!(run.stderr.contains("there is no terminal at which to confirm; nothing was sent"), "{}", run.stderr);
}

#[test]
fn some_rows_are_some_people() {
    let home = Home::new();
    let run = home.run(&["send", &SAMPLES[0].path(), "--sandbox", "--rows", "3-4,8", "--confirm", "3"]).ended(0);
    assert!(run.stdout.contains("people with exactly one message      3 of 12 on the list"), "{}", run.stdout);
    let run = home.run(&["send", &SAMPLES[0].path(), "--sandbox", "--rows", "3,14", "--confirm", "2"]).ended(64);
    assert!(run.stderr.contains("there is nobody in row 14"), "{}", run.stderr);
}

/// The most memory that the program ever had, in MiB, while sending to so many people.
#[cfg(target_os = "linux")]
fn most_memory(count: usize) -> u64 {
    let home = Home::new();
    home.campaign(&people(count));
    let mut command = home.command(&["send", "c", "--sandbox", "--confirm", &count.to_string()]);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
        most = most.max(peak);
        std::thread::sleep(Duration::from_millis(5));
    }
    let run = Run::of(child.wait_with_output().unwrap()).ended(0);
    assert!(run.stdout.contains(&format!("{count} of {count} on the list")), "{}", run.stdout);
    assert!(run.stdout.contains("messages with another's address      0"), "{}", run.stdout);
    most / 1024
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_bounded_as_lists_grow() {
    let long = std::env::var_os("APIECE_LONG").is_some();
    let (few, many) = if long { (1_000, 100_000) } else { (300, 3_000) };
    let (small, large) = (most_memory(few), most_memory(many));
    // What is kept for each person is its cells, its address and its digest: well under a kilobyte.
    let allowed = (many - few) as u64 / 1024 + 16;
    assert!(large <= small + allowed, "{few} recipients: {small} MiB, {many}: {large} MiB");
}
