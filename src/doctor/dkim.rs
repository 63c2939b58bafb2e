//! DKIM: the public key in the DNS, compared with the private one that signs (RFC 6376 §3.6).

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{Cause, Check, names::Names, names::Nothing, tags::Tags};
use crate::{
    campaign::Dkim,
    diagnostic::quoted,
    message::{PublicKey, Signer},
};

/// The key of the domain for which the account signs.
pub(super) async fn check(names: &Names, dkim: Option<&Dkim>, signer: Option<&Signer>) -> Check {
    let (id, what) = ("dkim", "DKIM");
    let Some(dkim) = dkim else {
        return Check::note(id, what, "the account does not sign; whether the server does cannot be known from here")
            .to_do(
                "send yourself one with apiece send … --test, and look for dkim=pass in its Authentication-Results",
            );
    };
    let what = format!("DKIM at {}", dkim.record_name());
    let Some(ours) = signer.and_then(Signer::public_key) else {
        return Check::skipped(id, what, "the key cannot be read, so that there is nothing to compare with");
    };
    let name = dkim.record_name();
    let records = match names.texts(&name).await {
        Ok(records) => records,
        Err(Nothing::Unanswered(why)) => {
            return Check::warning(id, what, format!("it could not be looked up: {why}")).to_do("look at the DNS");
        }
        Err(Nothing::NoName | Nothing::NoRecord) => Vec::new(),
    };
    let wrong = |finding: String| {
        Check::failure(id, what.clone(), Cause::Configuration, finding).publish(&name, &ours.record())
    };
    match records.as_slice() {
        [] => wrong("no key is published, so that no signature can be checked".into()),
        [only] => match compare(only, &ours) {
            Err(why) => wrong(why),
            Ok(Published::Testing) => {
                Check::warning(id, what, format!("the published key is ours ({}), in test mode (t=y)", ours.kind()))
                    .to_do("take t=y out: until then receivers may treat signed mail as if it were not")
                    .publish(&name, &ours.record())
            }
            Ok(Published::Well) => Check::ok(id, what, format!("the published key is ours ({})", ours.kind())),
        },
        several => wrong(format!("there are {} records, and receivers take any one of them", several.len())),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Published {
    Well,
    Testing,
}

/// Whether a record has our key, and lets it be used for this.
fn compare(record: &str, ours: &PublicKey) -> Result<Published, String> {
    let tags = Tags::parse(record).map_err(|why| format!("the record is wrong: {why}"))?;
    // RFC 6376 §3.6.1
    match (tags.get("v"), tags.first()) {
        (None, _) | (Some("DKIM1"), Some(("v", _))) => {}
        (Some("DKIM1"), _) => return Err("the record is wrong: v=DKIM1 must stand first".into()),
        (Some(other), _) => return Err(format!("the record is wrong: its version is {}", quoted(other))),
    }
    let Some(key) = tags.get("p") else { return Err("the record is wrong: it has no key (p=)".into()) };
    let key: String = key.split_ascii_whitespace().collect();
    if key.is_empty() {
        return Err("the key is revoked (p= is empty)".into());
    }
    let kind = tags.get("k").unwrap_or("rsa");
    if kind != ours.algorithm() {
        return Err(format!("the published key is of another kind: {}, and ours is {}", quoted(kind), ours.kind()));
    }
    let has = |list: &str, wanted: &str| list.split(':').any(|word| word.trim() == wanted);
    if tags.get("h").is_some_and(|hashes| !has(hashes, "sha256")) {
        return Err("the record does not permit sha256 (h=)".into());
    }
    if tags.get("s").is_some_and(|services| !has(services, "email") && !has(services, "*")) {
        return Err("the record is not for e-mail (s=)".into());
    }
    let key = BASE64_STANDARD.decode(key.as_bytes()).map_err(|_| "the published key is no base64".to_owned())?;
    if !ours.is(&key) {
        return Err("the published key is another one than ours, so that no signature holds".into());
    }
    Ok(if tags.get("t").is_some_and(|flags| has(flags, "y")) { Published::Testing } else { Published::Well })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_compared_with_our_key() {
        // RFC 8463 appendix A
        let ours = PublicKey::ed25519("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        let record = ours.record();
        assert_eq!(record, "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        assert_eq!(compare(&record, &ours), Ok(Published::Well));
        assert_eq!(compare(&record.replace("; p", "; t=s:y; p"), &ours), Ok(Published::Testing));
        assert_eq!(compare(&record.replace("11qY", "11 qY"), &ours), Ok(Published::Well));
        for (from, to, why) in [
            ("11qY", "21qY", "the published key is another one than ours, so that no signature holds"),
            ("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "", "the key is revoked (p= is empty)"),
            ("p=", "x=", "the record is wrong: it has no key (p=)"),
            ("DKIM1", "DKIM2", "the record is wrong: its version is \"DKIM2\""),
            ("k=ed25519", "k=rsa", "the published key is of another kind: \"rsa\", and ours is Ed25519"),
            ("; p", "; h=sha1; p", "the record does not permit sha256 (h=)"),
            ("; p", "; s=tlsrpt; p", "the record is not for e-mail (s=)"),
            ("11qY", "1*qY", "the published key is no base64"),
            ("; p", "; p; p", "the record is wrong: \"p\" has no ="),
        ] {
            assert_eq!(compare(&record.replace(from, to), &ours), Err(why.into()));
        }
    }
}
