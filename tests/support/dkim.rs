//! Keys made by openssl, and a verifier that shares no code with the signer: Debian's `python3-dkim` (dkimpy), to
//! which a function of the test answers for the DNS.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use apiece::campaign::Dkim;
use base64::{Engine, prelude::BASE64_STANDARD};
use tempfile::TempDir;

/// Debian's own, for which the package is.
const PYTHON: &str = "/usr/bin/python3";

const VERIFY: &str = r#"
import json, sys, dkim
directory, count = sys.argv[1], int(sys.argv[2])
records = json.load(open(directory + "/dns.json"))
def dns(name, timeout=5):
    return records.get((name.decode() if isinstance(name, bytes) else name).rstrip("."), "").encode() or None
for number in range(count):
    with open(f"{directory}/{number}.eml", "rb") as message:
        try:
            print(dkim.verify(message.read(), dnsfunc=dns))
        except Exception as why:
            print(repr(why))
"#;

/// A private key in a directory of its own, and what the DNS says of it.
pub(crate) struct Key {
    _directory: TempDir,
    path: PathBuf,
    selector: &'static str,
    record: String,
}

/// What kind of key, and how its file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    RsaPkcs8,
    RsaPkcs1,
    Ed25519,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::RsaPkcs8, Kind::RsaPkcs1, Kind::Ed25519];

/// Runs openssl; what it writes is readable by the owner only.
pub(crate) fn openssl(arguments: &[&str], directory: &Path) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).current_dir(directory).stdin(Stdio::null()).output();
    let output = output.expect("openssl is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

impl Key {
    pub(crate) fn new(kind: Kind) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let rsa = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "dkim.pem"];
        let (selector, make): (_, &[&str]) = match kind {
            Kind::RsaPkcs8 => ("rsa8", &rsa),
            Kind::RsaPkcs1 => ("rsa1", &["genrsa", "-traditional", "-out", "dkim.pem", "2048"]),
            Kind::Ed25519 => ("ed.s2026", &["genpkey", "-algorithm", "ed25519", "-out", "dkim.pem"]),
        };
        openssl(make, directory.path());
        let public = openssl(&["pkey", "-in", "dkim.pem", "-pubout", "-outform", "DER"], directory.path());
        // RFC 8463 §4: the 32 octets alone, without what is around them in SubjectPublicKeyInfo.
        let (k, public) = match kind {
            Kind::Ed25519 => ("ed25519", &public[public.len() - 32..]),
            _ => ("rsa", &public[..]),
        };
        let record = format!("v=DKIM1; k={k}; p={}", BASE64_STANDARD.encode(public));
        let path = directory.path().join("dkim.pem");
        Self { _directory: directory, path, selector, record }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The account's table for it.
    pub(crate) fn settings(&self, domain: &str) -> String {
        let Self { selector, path, .. } = self;
        let path = path.display();
        format!("[account.work.dkim]\ndomain = \"{domain}\"\nselector = \"{selector}\"\nkey_file = \"{path}\"\n")
    }

    pub(crate) fn dkim(&self, domain: &str) -> Dkim {
        Dkim { domain: domain.into(), selector: self.selector.into(), key_file: self.path.clone() }
    }

    /// The name and the value of its record in the DNS.
    pub(crate) fn record(&self, domain: &str) -> (String, String) {
        (format!("{}._domainkey.{domain}", self.selector), self.record.clone())
    }

    /// Stretches of the private key that must not be seen anywhere.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let pem = std::fs::read_to_string(&self.path).expect("the key");
        pem.lines().filter(|line| !line.starts_with('-')).map(|line| line[line.len() / 2..].to_owned()).collect()
    }
}

/// What the verifier says of each message: `True`, `False` or its complaint. None where it is not installed.
pub(crate) fn verify(records: &[(String, String)], messages: &[Vec<u8>]) -> Option<Vec<String>> {
    let there = Command::new(PYTHON).args(["-c", "import dkim, nacl"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        super::skip("python3-dkim or python3-nacl is not installed");
        return None;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let records: BTreeMap<_, _> = records.iter().cloned().collect();
    let records = serde_json::to_string(&records).expect("JSON");
    std::fs::write(directory.path().join("dns.json"), records).expect("written");
    for (number, message) in messages.iter().enumerate() {
        std::fs::write(directory.path().join(format!("{number}.eml")), message).expect("written");
    }
    let mut python = Command::new(PYTHON);
    python.args(["-c", VERIFY]).arg(directory.path()).arg(messages.len().to_string());
    let output = python.output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let verdicts: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(verdicts.len(), messages.len());
    Some(verdicts)
}
