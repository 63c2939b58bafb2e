//! A clock that a test sets, by libfaketime: what the program takes for the time of the day, and nothing else of it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use apiece::campaign::Moment;

use super::{Home, skip};

/// Whose calls are answered in place of the system.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

#[derive(Clone)]
pub(crate) struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// One that shows a time, such as `2026-11-27 16:59 Europe/London`, from now on.
    pub(crate) fn at(home: &Home, time: &str) -> Option<Self> {
        let libraries =
            std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path().join(LIBRARY));
        let Some(library) = libraries.chain([Path::new("/usr/lib").join(LIBRARY)]).find(|library| library.exists())
        else {
            skip("libfaketime is not installed");
            return None;
        };
        let clock = Self { library, file: home.path().join("clock") };
        clock.set(time);
        Some(clock)
    }

    /// It jumps, and goes on from there.
    pub(crate) fn set(&self, time: &str) {
        let then = time.parse::<Moment>().expect("a time").timestamp().as_second();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs().cast_signed();
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{:+}\n", then - now)).expect("the clock is written");
        std::fs::rename(new, &self.file).expect("the clock is set");
    }

    /// The program goes by it.
    pub(crate) fn over(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            // How long something takes is nobody's to fake.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
    }
}
