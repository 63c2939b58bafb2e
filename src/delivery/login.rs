//! Logging in: SASL over AUTH (RFC 4954), under TLS alone.

use std::{num::NonZeroU32, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{digest, hmac, pbkdf2};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{
    Reply, StopReason,
    connect::{Answer, Connection},
};
use crate::campaign::{Login, Mechanism};

/// A server that wants more rounds than so many wants to keep this machine busy.
const MOST_ITERATIONS: u32 = 1_000_000;

/// Fewer rounds are refused: RFC 7677 §4.
const LEAST_ITERATIONS: u32 = 4096;

/// Octets of a command with its line end (RFC 5321 §4.5.3.1.4).
const MOST_COMMAND: usize = 512;

/// So many octets of chance, in base64.
const NONCE: usize = 18;

/// Why nobody is logged in.
enum Failed {
    Refused(Reply),
    Unavailable(Reply),
    Lost(String),
    Unfit(String),
}

/// Logs in. `server` is what it is called in complaints.
pub(super) async fn login(
    connection: &mut Connection,
    login: &Login,
    secret: &SecretString,
    server: &str,
) -> Result<(), StopReason> {
    if connection.tls.is_none() {
        return Err(StopReason::NoLogin("a password is not sent without TLS".into()));
    }
    let no_way = |why: String| StopReason::NoLogin(connection.record.shown(&why));
    let mechanism = connection.offer.choose(&login.mechanisms()).map_err(no_way)?;
    let mut dialogue = Dialogue { connection, mechanism };
    let done = dialogue.speak(&login.username, secret.expose_secret(), server).await;
    match done {
        Ok(()) => {
            connection.login = Some(mechanism);
            Ok(())
        }
        Err(Failed::Refused(reply)) => Err(StopReason::LoginRefused(reply)),
        Err(Failed::Unavailable(reply)) => Err(StopReason::LoginUnavailable(reply)),
        Err(Failed::Unfit(why)) => Err(StopReason::NoLogin(why)),
        Err(Failed::Lost(why)) => Err(StopReason::Unreachable {
            server: server.to_owned(),
            why: format!("it was lost during the login ({why})"),
        }),
    }
}

/// What is said to a server that asks who is there.
struct Dialogue<'c> {
    connection: &'c mut Connection,
    mechanism: Mechanism,
}

impl Dialogue<'_> {
    async fn speak(&mut self, user: &str, secret: &str, server: &str) -> Result<(), Failed> {
        // Some servers repeat what they did not understand.
        self.connection.record.hide(secret);
        self.connection.record.hide(&Zeroizing::new(BASE64_STANDARD.encode(secret)));
        match self.mechanism {
            Mechanism::Plain => self.end(Some(&format!("\0{user}\0{secret}"))).await,
            Mechanism::Login => {
                self.ask(None).await?;
                self.answer(user).await?;
                self.end_with(secret).await
            }
            Mechanism::XOAuth2 => self.token(&format!("user={user}\x01auth=Bearer {secret}\x01\x01"), "").await,
            Mechanism::OAuthBearer => {
                // RFC 7628 §3.1; the user's name as RFC 5801 §4 writes it
                let (host, port) = server.rsplit_once(':').unwrap_or((server, ""));
                let name = saslname(user);
                let words = format!("n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {secret}\x01\x01");
                self.token(&words, "\x01").await
            }
            Mechanism::ScramSha256 => self.scram(user, secret).await,
        }
    }

    /// A token, and, where it is refused and the reason comes as a challenge, the word that ends it.
    async fn token(&mut self, words: &str, last: &str) -> Result<(), Failed> {
        match self.ask(Some(words)).await? {
            None => Ok(()),
            Some(_) => self.end_with(last).await,
        }
    }

    /// RFC 5802 and RFC 7677. The server proves that it knows the password, too.
    async fn scram(&mut self, user: &str, password: &str) -> Result<(), Failed> {
        let mut chance = [0; NONCE];
        getrandom::fill(&mut chance).map_err(|why| Failed::Unfit(format!("this machine has no randomness: {why}")))?;
        let scram = Scram::new(user, password, &BASE64_STANDARD.encode(chance));
        let unfit = |why: &str| Failed::Unfit(format!("the server's part of SCRAM-SHA-256 is wrong: {why}"));
        let Some(challenge) = self.ask(Some(&scram.first())).await? else {
            return Err(unfit("it took the login without a proof"));
        };
        let (response, proof) = scram.last(&challenge).map_err(unfit)?;
        // Some servers send their proof with the success, others as a challenge before it.
        let (done, theirs) = match self.answer_or_end(&response).await? {
            Some(challenge) => (false, challenge),
            None => (true, self.said_with_success()),
        };
        if theirs != proof {
            return Err(unfit("it does not know the password itself; somebody may be in between"));
        }
        if done { Ok(()) } else { self.end_with("").await }
    }

    /// What the server put behind the code of its success.
    fn said_with_success(&self) -> String {
        let reply = self.connection.record.heard();
        let words = reply.as_ref().and_then(|reply| reply.lines().next()).unwrap_or_default().to_owned();
        words.split_ascii_whitespace().find_map(decoded).unwrap_or_default()
    }

    /// Begins; gives the challenge, if there is one.
    async fn ask(&mut self, initial: Option<&str>) -> Result<Option<String>, Failed> {
        let command = format!("AUTH {}{}", self.mechanism, if initial.is_some() { " " } else { "" });
        match initial {
            // A command may not be that long, and what answers a challenge may (RFC 4954 §4). Tokens often have thousands of octets.
            Some(words) if command.len() + words.len().div_ceil(3) * 4 + 2 > MOST_COMMAND => {
                self.send(command.trim_end(), None).await?.ok_or_else(|| {
                    Failed::Unfit(format!("the server is content before {} has begun", self.mechanism))
                })?;
                self.answer_or_end(words).await
            }
            _ => self.send(&command, initial).await,
        }
    }

    async fn answer(&mut self, words: &str) -> Result<(), Failed> {
        match self.answer_or_end(words).await? {
            Some(_) => Ok(()),
            None => Err(Failed::Unfit(format!("the server is content before {} is over", self.mechanism))),
        }
    }

    async fn answer_or_end(&mut self, words: &str) -> Result<Option<String>, Failed> {
        self.send("", Some(words)).await
    }

    /// Begins, and is done.
    async fn end(&mut self, initial: Option<&str>) -> Result<(), Failed> {
        let challenge = self.ask(initial).await?;
        self.over(challenge.as_ref())
    }

    /// Answers, and is done.
    async fn end_with(&mut self, words: &str) -> Result<(), Failed> {
        let challenge = self.answer_or_end(words).await?;
        self.over(challenge.as_ref())
    }

    fn over(&self, challenge: Option<&String>) -> Result<(), Failed> {
        match challenge {
            None => Ok(()),
            Some(_) => {
                Err(Failed::Unfit(format!("the server asks on after {} has said all it has to say", self.mechanism)))
            }
        }
    }

    /// A line with some words in base64; gives the challenge, or none where the login is done. An initial response that is empty is
    /// written `=` (RFC 4954 §4).
    async fn send(&mut self, command: &str, words: Option<&str>) -> Result<Option<String>, Failed> {
        let words = words.map(|words| Zeroizing::new(BASE64_STANDARD.encode(words))).unwrap_or_default();
        self.connection.record.hide(&words);
        let line = Zeroizing::new(format!("{command}{}\r\n", *words));
        let deadline: Duration = self.connection.deadlines.command();
        match self.connection.ask(line.as_str(), 1, deadline).await {
            Answer::Yes(reply) if reply.code() == 235 => Ok(None),
            Answer::Yes(reply) if reply.code() == 334 => {
                let heard = self.connection.record.heard().unwrap_or(reply);
                Ok(Some(heard.lines().next().and_then(decoded).unwrap_or_default()))
            }
            Answer::No(reply) if !reply.is_permanent() => Err(Failed::Unavailable(reply)),
            Answer::Yes(reply) | Answer::No(reply) => Err(Failed::Refused(reply)),
            Answer::Lost(_, why) => Err(Failed::Lost(why)),
        }
    }
}

fn decoded(base64: &str) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(base64).ok()?).ok()
}

/// RFC 5802 §5.1
fn saslname(user: &str) -> String {
    user.replace('=', "=3D").replace(',', "=2C")
}

/// A client's part of SCRAM-SHA-256.
struct Scram {
    /// `client-first-message-bare`
    first: String,
    nonce: String,
    password: Zeroizing<String>,
}

impl Scram {
    fn new(user: &str, password: &str, nonce: &str) -> Self {
        // SASLprep is more than NFKC; what it forbids besides no password has.
        let prepared = icu_normalizer::ComposingNormalizer::new_nfkc().normalize(password).into_owned();
        let nonce = nonce.to_owned();
        Self { first: format!("n={},r={nonce}", saslname(user)), nonce, password: Zeroizing::new(prepared) }
    }

    fn first(&self) -> String {
        format!("n,,{}", self.first)
    }

    /// What answers the server's challenge, and what it must say then.
    fn last(&self, challenge: &str) -> Result<(String, String), &'static str> {
        let value = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let nonce = value("r").filter(|nonce| nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len());
        let nonce = nonce.ok_or("it answers somebody else's question")?;
        let salt = value("s").and_then(|salt| BASE64_STANDARD.decode(salt).ok()).ok_or("it has no salt")?;
        let iterations: u32 = value("i").and_then(|number| number.parse().ok()).unwrap_or_default();
        if !(LEAST_ITERATIONS..=MOST_ITERATIONS).contains(&iterations) {
            return Err("it wants too few rounds, or too many");
        }
        let mut salted = Zeroizing::new([0; digest::SHA256_OUTPUT_LEN]);
        let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, self.password.as_bytes(), salted.as_mut());
        let sign = |key: &[u8], words: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), words);
        let client = sign(salted.as_ref(), b"Client Key");
        let stored = digest::digest(&digest::SHA256, client.as_ref());
        let bare = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{bare}", self.first);
        let signature = sign(stored.as_ref(), signed.as_bytes());
        let proof: Vec<u8> = client.as_ref().iter().zip(signature.as_ref()).map(|(one, other)| one ^ other).collect();
        let server = sign(sign(salted.as_ref(), b"Server Key").as_ref(), signed.as_bytes());
        Ok((format!("{bare},p={}", BASE64_STANDARD.encode(proof)), format!("v={}", BASE64_STANDARD.encode(server))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 §3
    #[test]
    fn scram_says_what_the_standard_says() {
        let scram = Scram::new("user", "pencil", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (response, proof) = scram.last(challenge).unwrap();
        assert_eq!(
            response,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(proof, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        for wrong in [
            "",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=*,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999",
        ] {
            assert!(scram.last(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Scram::new("a,b=c", "x", "n").first(), "n,,n=a=2Cb=3Dc,r=n");
    }
}
