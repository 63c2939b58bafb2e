//! Secrets that another program prints.

use std::{
    io,
    process::{ExitStatus, Stdio},
    thread,
    time::Duration,
};

use secrecy::{SecretString, zeroize::Zeroizing};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};

use super::{MOST_BYTES, SecretError, Unsaid, first_line};
use crate::diagnostic::visible;

/// So long a program may take: it may have to ask somebody for a passphrase.
const TIME: Duration = Duration::from_secs(120);

/// So long it is read on once the program has ended, where others still have its pipes.
const GRACE: Duration = Duration::from_millis(500);

/// So many characters are shown of what a program complained about.
const MOST_SAID: usize = 2 * 1024;

/// So many lines of what it printed are looked for in that.
const MOST_LINES: usize = 16;

/// Variables of the environment with one of these in their name hold a secret, unless it is a path.
const SECRET_NAMES: [&str; 5] = ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL"];

/// The first line that a program prints; `key` says which one it is. Program and arguments, no shell. What it says on its standard
/// error is kept back, and shown if it fails: some say there what they are asked for. Blocks.
pub(crate) fn run(command: &[String], key: &'static str) -> Result<SecretString, SecretError> {
    run_within(TIME, command, key)
}

/// How a program ended, if it did in time.
type Ended = Option<io::Result<ExitStatus>>;

fn run_within(time: Duration, command: &[String], key: &'static str) -> Result<SecretString, SecretError> {
    let (program, arguments) = command.split_first().ok_or(SecretError::Empty(key))?;
    let not_started = |why| SecretError::CommandNotStarted(key, why);
    let mut running = Command::new(program);
    running.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    let has_own_group = !has_terminal();
    #[cfg(unix)]
    if has_own_group {
        running.process_group(0);
    }
    #[cfg(not(unix))]
    let has_own_group = false;
    let (mut output, mut said) = (Pipe::new(), Pipe::new());
    // In a thread of its own, since the caller may be one that must not wait inside of another's work.
    let ended = thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut child = running.spawn()?;
                let ended = follow(&mut child, time, &mut output, &mut said).await;
                if ended.is_none() {
                    end(&mut child, has_own_group).await;
                }
                Ok(ended)
            })
        });
        waiting.join().unwrap_or_else(|_| Err(io::Error::other("a fault in apiece")))
    });
    let ended: Ended = ended.map_err(not_started)?;
    let said = || words(&said.0, &output.0);
    let Some(status) = ended else {
        return Err(SecretError::CommandLate { key, seconds: time.as_secs(), said: said() });
    };
    let status = status.map_err(not_started)?;
    if !status.success() {
        return Err(SecretError::CommandFailed { key, status, said: said() });
    }
    first_line(&output.0, key)
}

/// Whether somebody sits at a terminal of this process, whom a program can ask there. One in a process group of its own could not: the
/// terminal's foreground is another.
#[cfg(unix)]
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Waits for a program, and reads what it prints meanwhile. Others may have its pipes when it has ended: these are not waited for.
async fn follow(child: &mut Child, time: Duration, output: &mut Pipe, said: &mut Pipe) -> Ended {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut reading = std::pin::pin!(async { tokio::join!(output.fill(stdout), said.fill(stderr)) });
    let waiting = async {
        let status = tokio::select! {
            status = child.wait() => status,
            _ = &mut reading => return child.wait().await,
        };
        let _ = timeout(GRACE, reading).await;
        status
    };
    timeout(time, waiting).await.ok()
}

/// Ends a program that takes too long, and with it those that it has started, as far as they are in its process group.
async fn end(child: &mut Child, has_own_group: bool) {
    #[cfg(unix)]
    if has_own_group
        && let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.start_kill();
    let _ = timeout(GRACE, child.wait()).await;
}

/// What is read from a pipe: somewhat more than a secret can have, and what is too much goes nowhere.
struct Pipe(Zeroizing<Vec<u8>>);

impl Pipe {
    /// With room for all from the start: a vector that grows leaves copies behind.
    fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(usize::try_from(MOST_BYTES).unwrap_or_default() + 1)))
    }

    async fn fill(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut piece = Zeroizing::new([0; 4096]);
        while let Ok(count @ 1..) = pipe.read(&mut *piece).await {
            let room = self.0.capacity() - self.0.len();
            self.0.extend_from_slice(&piece[..count.min(room)]);
        }
    }
}

/// What it complained about, on one line, and without what it printed as the secret or has in its environment.
fn words(said: &[u8], output: &[u8]) -> String {
    let mut unsaid = Unsaid::default();
    for (name, value) in std::env::vars_os() {
        let (name, value) = (name.to_string_lossy().to_uppercase(), value.to_string_lossy());
        if SECRET_NAMES.iter().any(|part| name.contains(part)) && !std::path::Path::new(&*value).exists() {
            unsaid.add(&value);
        }
    }
    let output = Zeroizing::new(String::from_utf8_lossy(output).into_owned());
    // The secret itself last: where there are many, the first are forgotten.
    for line in output.lines().take(MOST_LINES).collect::<Vec<_>>().into_iter().rev() {
        unsaid.add(line.trim());
    }
    let said = Zeroizing::new(String::from_utf8_lossy(said).into_owned());
    let said = unsaid.shown(&said);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    visible(&lines.join(" / ").chars().take(MOST_SAID).collect::<String>())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::time::Instant;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::secret::NOT_SHOWN;

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

    fn quickly(milliseconds: u64, script: &str) -> Result<String, String> {
        let command = ["sh".into(), "-c".into(), script.into()];
        let ran = run_within(Duration::from_millis(milliseconds), &command, "token_command");
        ran.map(|secret| secret.expose_secret().to_owned()).map_err(|why| why.to_string())
    }

    #[test]
    fn a_program_that_repeats_the_secret_in_another_form_or_its_environment_is_not_quoted() {
        for script in [
            "echo hunter2-x; echo HUNTER2-X >&2; exit 1",
            "echo hunter2-x; echo x-2retnuh >&2; exit 1",
            "echo hunter2-x; printf hunter2-x | base64 >&2; exit 1",
            "echo hunter2-x; printf hunter2-x | od -An -tx1 >&2; exit 1",
            "printf hunter2-x; sleep 0.2; echo 'h u n t e r 2 - x' >&2; sleep 30",
        ] {
            let why = quickly(1200, script).unwrap_err();
            assert!(why.ends_with(&format!("; it said: {NOT_SHOWN}")), "{script}: {why}");
        }
    }

    #[test]
    fn nobody_waits_for_a_program_that_does_not_end_nor_for_those_that_it_left_behind() {
        let start = Instant::now();
        for script in ["echo asking >&2; sleep 30", "exec >&-; echo asking >&2; sleep 30"] {
            let why = quickly(1200, script).unwrap_err();
            assert_eq!(why, "the program of token_command is not done after 1 s; it said: asking", "{script}");
        }
        // Somebody still has the pipes when it has ended.
        assert_eq!(quickly(20_000, "sleep 30 & echo hunter2"), Ok("hunter2".into()));
        let why = quickly(20_000, "sleep 30 & echo asking >&2; exit 3").unwrap_err();
        assert_eq!(why, "the program of token_command ended with exit status: 3; it said: asking");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }

    /// At a terminal it stays in the foreground, so that it can ask.
    #[test]
    fn a_program_that_takes_too_long_is_ended_with_those_that_it_started() {
        if has_terminal() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pids");
        let script = format!("sleep 300 & echo $! > {0}; (sleep 301 & echo $! >> {0}; wait) & wait", file.display());
        quickly(1000, &script).unwrap_err();
        let pids = std::fs::read_to_string(&file).unwrap();
        assert_eq!(pids.lines().count(), 2);
        let is_there = || {
            pids.lines().any(|pid| {
                // One that nobody has waited for yet is there as a zombie.
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                stat.contains("(sleep)") && !stat.contains(") Z")
            })
        };
        let start = Instant::now();
        while is_there() && start.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(20));
        }
        assert!(!is_there());
    }

    #[test]
    fn what_a_program_prints_too_much_does_not_hold_it_up() {
        let output =
            run(&["sh".into(), "-c".into(), "head -c 1000000 /dev/zero | tr '\\0' x".into()], "password_command");
        assert_eq!(output.unwrap_err().to_string(), "the password from password_command is longer than 64 KiB");
    }
}
