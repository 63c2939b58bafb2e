use super::*;

const MESSAGE: &str = "From: Joe SixPack <joe@football.example.com>\r\n\
    To: Suzie Q <suzie@shopping.example.net>\r\n\
    Subject: Is dinner ready?\r\n\
    Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n\
    Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

/// The secret key of RFC 8463 A.1 as PKCS#8.
fn key_file(directory: &tempfile::TempDir) -> PathBuf {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend(BASE64_STANDARD.decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").unwrap());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der));
    let path = directory.path().join("dkim.pem");
    std::io::Write::write_all(&mut crate::secret::create_file(&path).unwrap(), pem.as_bytes()).unwrap();
    path
}

fn signer() -> Signer {
    let directory = tempfile::tempdir().unwrap();
    let key_file = key_file(&directory);
    Signer::read(&Dkim { domain: "football.example.com".into(), selector: "brisbane".into(), key_file }).unwrap()
}

#[test]
fn the_example_of_rfc_8463_appendix_a() {
    let signature = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
        d=football.example.com; i=@football.example.com;\r\n \
        q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n \
        subject : date : message-id : from : subject : date;\r\n \
        bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=";
    let (fields, body) = split(MESSAGE.as_bytes());
    let hash = BASE64_STANDARD.encode(Sha256::digest(canonical::body(body)));
    assert_eq!(hash, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
    let mut data = Vec::new();
    for field in fields {
        data.extend(canonical::header(field));
        data.extend(b"\r\n");
    }
    data.extend(canonical::header(signature.as_bytes()));
    assert_eq!(
        BASE64_STANDARD.encode(signer().key.sign(&data).unwrap()),
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    );
}

#[test]
fn the_header_as_it_is_sent() {
    let signed = signer().sign(MESSAGE.as_bytes(), Timestamp::from_second(1_528_637_909).unwrap()).unwrap();
    let (header, value) = signed.split_once("\r\n b=").unwrap();
    assert_eq!(
        header,
        "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
         d=football.example.com; s=brisbane; t=1528637909; h=From:From:To:To:Cc:Bcc:\r\n \
         Subject:Subject:Date:Date:Message-ID:Message-ID:Reply-To:MIME-Version:\r\n \
         Content-Type; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;"
    );
    assert_eq!(BASE64_STANDARD.decode(value.replace("\r\n ", "").trim_end()).unwrap().len(), 64);
    assert!(value.ends_with("\r\n") && !value.ends_with("\r\n\r\n"));
    assert!(signed.lines().all(|line| line.len() <= MOST_LINE));
}

#[test]
fn senders_are_of_the_domain_or_below_it() {
    let signer = signer();
    let check = |from: &str| signer.check_sender(&from.parse().unwrap()).map_err(|why| why.to_string());
    for from in ["a@football.example.com", "a@Mail.FOOTBALL.example.com"] {
        assert_eq!(check(from), Ok(()));
    }
    for from in ["a@example.com", "a@notfootball.example.com", "a@football.example.com.other.example"] {
        let why = format!("the sender {from} is not of football.example.com, for which the account signs");
        assert_eq!(check(from), Err(why));
    }
}

#[test]
fn header_fields_and_body_are_told_apart() {
    for (message, fields, body) in [
        ("A: 1\r\nB: 2\r\n\t3\r\n 4\r\n\r\nC: 5\r\n", vec!["A: 1\r\n", "B: 2\r\n\t3\r\n 4\r\n"], "C: 5\r\n"),
        ("A: 1\r\n\r\n", vec!["A: 1\r\n"], ""),
        ("A: 1\r\n", vec!["A: 1\r\n"], ""),
        ("A: 1", vec!["A: 1"], ""),
        ("A: 1\r\n\r\n\r\nx", vec!["A: 1\r\n"], "\r\nx"),
    ] {
        let fields: Vec<&[u8]> = fields.into_iter().map(str::as_bytes).collect();
        assert_eq!(split(message.as_bytes()), (fields, body.as_bytes()), "{message:?}");
    }
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(
        format!("{:?}", signer()),
        "Signer { domain: \"football.example.com\", selector: \"brisbane\", algorithm: \"ed25519-sha256\", .. }"
    );
}
