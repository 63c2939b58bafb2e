//! Whoever started a worker is told how it stands: systemd's notify protocol (`sd_notify(3)`), datagrams of a few words.
//!
//! No library: it is one socket, and what there is takes it from the environment itself.

use std::{ffi::OsString, time::Duration};

use super::Board;

/// Between two words where nobody asks for them more often.
const EVERY: Duration = Duration::from_secs(15);

/// No more often than that, whatever the environment says.
const AT_LEAST: Duration = Duration::from_millis(10);

/// systemd, if it started this process and waits for its words; else nobody, and nothing is said.
#[derive(Debug, Default)]
pub struct Supervisor {
    #[cfg(unix)]
    socket: Option<std::os::unix::net::UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// Whom the environment names: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` where `WATCHDOG_PID` is this process or is not there.
    ///
    /// ```no_run
    /// let supervisor = apiece::report::Supervisor::of_environment(|name| std::env::var_os(name));
    /// supervisor.ready();
    /// ```
    #[must_use]
    pub fn of_environment(of: impl Fn(&str) -> Option<OsString>) -> Self {
        let number = |name| of(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = of("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(std::process::id().into());
        let watchdog = number("WATCHDOG_USEC").filter(|time| *time > 0 && is_ours);
        let watchdog = watchdog.map(|time| (Duration::from_micros(time) / 2).max(AT_LEAST));
        #[cfg(unix)]
        {
            let socket = of("NOTIFY_SOCKET").filter(|name| !name.is_empty());
            let socket = socket.and_then(|name| connected(&name).map_err(|why| complain(&why)).ok());
            Self { watchdog: watchdog.filter(|_| socket.is_some()), socket }
        }
        #[cfg(not(unix))]
        Self { watchdog: watchdog.filter(|_| false) }
    }

    /// The worker works.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// It ends, as soon as what is on the wire is over.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// It is alive.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// How it stands, in a line. Everybody on the machine can read it.
    pub fn status(&self, text: &str) {
        let line = text.split(char::is_control).next().unwrap_or_default();
        self.say(&format!("STATUS={line}"));
    }

    /// How often it wants to hear that this is alive, if it wants to.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Says how a worker stands, and that it is alive as long as it is, until this is dropped.
    pub async fn watch(&self, board: &Board) {
        let mut turns = tokio::time::interval(self.watchdog.unwrap_or(EVERY).min(EVERY));
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            if self.watchdog.is_some() && board.alive().is_ok() {
                self.alive();
            }
            self.status(&board.line());
        }
    }

    #[cfg(unix)]
    fn say(&self, words: &str) {
        if let Some(Err(why)) = self.socket.as_ref().map(|socket| socket.send(words.as_bytes())) {
            complain(&why);
        }
    }

    #[cfg(not(unix))]
    fn say(&self, _: &str) {}
}

/// Nobody is kept from sending by it.
#[cfg(unix)]
fn complain(why: &std::io::Error) {
    super::log::sent_no_word("supervisor", &why.to_string());
}

/// A socket to a path, or to a name of Linux's own that begins with @.
#[cfg(unix)]
fn connected(name: &std::ffi::OsStr) -> std::io::Result<std::os::unix::net::UnixDatagram> {
    use std::os::unix::ffi::OsStrExt;

    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    match name.as_bytes() {
        [b'/', ..] => socket.connect(name)?,
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
            socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
        }
        _ => return Err(std::io::Error::other("NOTIFY_SOCKET names no socket of this machine")),
    }
    // One that listens no more holds up nobody.
    socket.set_write_timeout(Some(Duration::from_secs(1)))?;
    Ok(socket)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// The other side, which never waits, and what it heard since it was last asked.
    fn heard(socket: &UnixDatagram) -> Vec<String> {
        socket.set_nonblocking(true).unwrap();
        let mut words = [0; 4096];
        let mut next = || {
            let count = socket.recv(&mut words).ok()?;
            Some(String::from_utf8_lossy(&words[..count]).into_owned())
        };
        std::iter::from_fn(&mut next).collect()
    }

    fn supervisor(variables: &[(&str, &str)]) -> Supervisor {
        Supervisor::of_environment(|name| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn systemd_hears_it_by_a_path_and_by_an_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let mut places = vec![(UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned())];
        #[cfg(target_os = "linux")]
        {
            use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
            let name = format!("apiece-test-{}", std::process::id());
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            places.push((UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}")));
        }
        for (socket, place) in places {
            let supervisor = supervisor(&[("NOTIFY_SOCKET", &place)]);
            supervisor.ready();
            supervisor.status("working: 3 sent\nWATCHDOG=trigger");
            supervisor.alive();
            supervisor.stopping();
            assert_eq!(heard(&socket), ["READY=1", "STATUS=working: 3 sent", "WATCHDOG=1", "STOPPING=1"]);
        }
    }

    #[test]
    fn where_nobody_waits_nothing_is_said() {
        for place in ["", "relative", "vsock:2:1", "/nowhere/notify"] {
            let supervisor = supervisor(&[("NOTIFY_SOCKET", place), ("WATCHDOG_USEC", "1000000")]);
            assert_eq!(supervisor.watchdog(), None, "{place}");
            supervisor.ready();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_in_time_and_only_as_long_as_the_worker_works() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let place = path.to_str().unwrap();
        let ours = std::process::id().to_string();
        let of = |more: &[(&str, &str)]| supervisor(&[&[("NOTIFY_SOCKET", place)], more].concat());
        assert_eq!(of(&[]).watchdog(), None);
        for wrong in ["", "0", "-1", "x"] {
            assert_eq!(of(&[("WATCHDOG_USEC", wrong)]).watchdog(), None);
        }
        assert_eq!(of(&[("WATCHDOG_USEC", "20000000"), ("WATCHDOG_PID", "1")]).watchdog(), None);
        assert_eq!(of(&[("WATCHDOG_USEC", "20000000")]).watchdog(), Some(Duration::from_secs(10)));
        let supervisor = of(&[("WATCHDOG_USEC", "20000000"), ("WATCHDOG_PID", &ours)]);
        let board = Board::new(&[]);
        let beats = async |seconds| {
            let watched = tokio::time::timeout(Duration::from_secs(seconds), supervisor.watch(&board));
            assert!(watched.await.is_err());
            heard(&socket)
        };
        let said = beats(25).await;
        assert_eq!(said.iter().filter(|words| *words == "WATCHDOG=1").count(), 3, "at 0, 10 and 20: {said:?}");
        assert!(said.contains(
            &"STATUS=the database is not reached: 0 sent, 0 deferred, 0 failed, 0 in doubt, 0 requeued".into()
        ));
        tokio::time::advance(Duration::from_secs(10)).await;
        let said = beats(25).await;
        assert!(!said.is_empty() && !said.contains(&"WATCHDOG=1".to_owned()), "{said:?}");
        board.beat();
        assert!(beats(5).await.contains(&"WATCHDOG=1".to_owned()));
    }
}
