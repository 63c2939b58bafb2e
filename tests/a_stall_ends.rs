//! A server that falls silent, at whatever stage, holds nobody up longer than `timeout`, and nothing is claimed that
//! is not known.

use std::time::{Duration, Instant};

use crate::support::{
    Home, Run, account, json, people,
    scripted::{Act, Scripted, Stage, Tls},
};

#[test]
fn a_stall_at_any_stage_ends_the_wait_and_claims_nothing() {
    let one = |stage: Stage| {
        let server = Scripted::builder()
            .tls(Tls::StartTls)
            .auth("u", "secret")
            .auth_offer("LOGIN")
            .on(stage, Act::Stall)
            .start();
        let home = Home::new();
        home.campaign(&people(3));
        let login = "username = \"u\"\npassword_env = \"P\"\ntimeout = \"400ms\"";
        home.config(&account(server.port(), server.ca_file(), "starttls", login));
        let start = Instant::now();
        let mut command = home.command(&["send", "c", "--account", "work", "--confirm", "3", "--format", "json"]);
        let run = Run::of(command.env("P", "secret").output().unwrap());
        assert!(start.elapsed() < Duration::from_secs(20), "{stage:?}: {:?}", start.elapsed());
        let summary = json(&run).pop().unwrap();
        let of = |outcome: &str| summary[outcome].as_u64().unwrap();
        let accepted = server.accepted().len() as u64;
        match stage {
            // Nobody sends NOOP, nothing is refused so that RSET would be due, the goodbye is not worth a wait, and
            // the small body is whole when its stage is reached.
            Stage::Noop | Stage::Rset | Stage::Quit => {
                assert_eq!((run.code, of("sent"), accepted), (0, 3, 3), "{stage:?}")
            }
            // Only the server can know.
            Stage::Dot | Stage::Body => {
                assert_eq!((run.code, of("in_doubt"), of("sent"), accepted), (1, 3, 0, 0), "{stage:?}: {summary}")
            }
            _ => {
                assert_eq!((of("sent"), of("in_doubt"), accepted), (0, 0, 0), "{stage:?}: {summary}");
                assert!(matches!(run.code, 69 | 76), "{stage:?}: {}", run.code);
            }
        }
    };
    std::thread::scope(|scope| {
        for stage in Stage::ALL {
            scope.spawn(move || one(stage));
        }
    });
}
