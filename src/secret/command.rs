//! Secrets that another program prints.

use std::{
    io::Read,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use secrecy::{SecretString, zeroize::Zeroizing};

use super::{MOST_BYTES, SecretError, first_line};
use crate::diagnostic::visible;

/// So long a program may take: it may have to ask somebody for a passphrase.
const TIME: Duration = Duration::from_secs(120);

/// So much is shown of what a program complained about.
const MOST_SAID: u64 = 2 * 1024;

/// It is looked so often whether a program has ended.
const LOOK: Duration = Duration::from_millis(10);

/// The first line that a program prints; `key` says which one it is. Program and arguments, no shell. What it says on its standard
/// error is kept back, and shown if it fails: some say there what they are asked for. Blocks.
pub(crate) fn run(command: &[String], key: &'static str) -> Result<SecretString, SecretError> {
    run_within(TIME, command, key)
}

fn run_within(time: Duration, command: &[String], key: &'static str) -> Result<SecretString, SecretError> {
    let (program, arguments) = command.split_first().ok_or(SecretError::Empty(key))?;
    let not_started = |why| SecretError::CommandNotStarted(key, why);
    let mut running = Command::new(program);
    running.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = running.spawn().map_err(not_started)?;
    let deadline = Instant::now() + time;
    let output = read(child.stdout.take(), MOST_BYTES + 1);
    let said = read(child.stderr.take(), MOST_SAID);
    let output = received(&output, deadline);
    let status = match output {
        Ok(_) => ended(&mut child, deadline).map_err(not_started)?,
        Err(()) => None,
    };
    let Some(status) = status else {
        // It may have started others, who have its pipes: nobody waits for these.
        let _ = child.kill();
        let _ = child.wait();
        let said = words(&said, Instant::now() + LOOK, &Zeroizing::default());
        return Err(SecretError::CommandLate { key, seconds: time.as_secs(), said });
    };
    let output = output.unwrap_or_default();
    if !status.success() {
        let said = words(&said, Instant::now() + Duration::from_secs(1), &output);
        return Err(SecretError::CommandFailed { key, status, said });
    }
    first_line(&output, key)
}

/// Reads from a pipe in a thread of its own: so much of it, and what is too much goes nowhere.
fn read(pipe: Option<impl Read + Send + 'static>, most: u64) -> Receiver<Zeroizing<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or_default()));
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(most).read_to_end(&mut content);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        let _ = sender.send(content);
    });
    receiver
}

fn received(pipe: &Receiver<Zeroizing<Vec<u8>>>, deadline: Instant) -> Result<Zeroizing<Vec<u8>>, ()> {
    match pipe.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(content) => Ok(content),
        Err(RecvTimeoutError::Disconnected) => Ok(Zeroizing::default()),
        Err(RecvTimeoutError::Timeout) => Err(()),
    }
}

/// How it ended, if it did in time.
fn ended(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        match child.try_wait()? {
            None if Instant::now() < deadline => thread::sleep(LOOK),
            status => return Ok(status),
        }
    }
}

/// What it complained about, on one line, and without any line that it printed as the secret.
fn words(said: &Receiver<Zeroizing<Vec<u8>>>, deadline: Instant, output: &Zeroizing<Vec<u8>>) -> String {
    let said = received(said, deadline).unwrap_or_default();
    let mut said = Zeroizing::new(String::from_utf8_lossy(&said).into_owned());
    for line in String::from_utf8_lossy(output).lines().map(str::trim).filter(|line| !line.is_empty()) {
        *said = said.replace(line, "…");
    }
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    visible(&lines.join(" / "))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn failed(script: &str) -> String {
        run(&["sh".into(), "-c".into(), script.into()], "password_command").unwrap_err().to_string()
    }

    #[test]
    fn a_program_that_fails_is_quoted_but_not_with_the_secret() {
        assert_eq!(
            failed("echo hunter2; printf 'no \\033[31mkey\\nfor hunter2\\n' >&2; exit 2"),
            "the program of password_command ended with exit status: 2; it said: no <U+001B>[31mkey / for …"
        );
        let long = failed("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1");
        assert!(long.len() < 2200, "{}", long.len());
    }

    #[test]
    fn nobody_waits_for_a_program_that_does_not_end_nor_for_those_that_it_left_behind() {
        let start = Instant::now();
        for script in ["echo asking >&2; sleep 30", "sleep 30 & echo asking >&2", "exec >&-; echo asking >&2; sleep 30"]
        {
            let command = ["sh".into(), "-c".into(), script.into()];
            let why = run_within(Duration::from_millis(1200), &command, "token_command").unwrap_err().to_string();
            assert!(why.starts_with("the program of token_command is not done after 1 s"), "{why}");
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }

    #[test]
    fn what_a_program_prints_too_much_does_not_hold_it_up() {
        let output =
            run(&["sh".into(), "-c".into(), "head -c 1000000 /dev/zero | tr '\\0' x".into()], "password_command");
        assert_eq!(output.unwrap_err().to_string(), "the password from password_command is longer than 64 KiB");
    }
}
