//! The gallery shows itself to the browser with the link, and what it shows can do nothing.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    Home, OUTBOX, Run,
    browser::{Answer, Browser, http},
    gallery::{Open, home},
    processes::{free_port, patiently},
    skip,
};

/// What tries to run or to load, in ways that the check of templates refuses (for this test it sees nothing) and in others.
fn hostile(port: u16) -> String {
    let at = format!("http://127.0.0.1:{port}");
    format!(
        r#"+++
from = "u@police.example"
subject = "x {{{{name}}}}"
allow_remote = true
+++
<!DOCTYPE html><html><head>
<meta http-equiv="Content-Security-Policy" content="default-src *; script-src 'unsafe-inline' *; img-src *">
<meta http-equiv="x-dns-prefetch-control" content="on">
<base href="{at}/base/" target="_top">
<link rel="preconnect" href="{at}"><LINK REL="stylesheet" href="{at}/sheet.css"><link rel="preload" as="image" href="{at}/p.png">
<link rel="prefetch" href="{at}/next"><link rel="icon" href="{at}/icon.png">
<style>@import "{at}/import.css"; @font-face {{ font-family: f; src: url({at}/font.woff) }} body {{ font-family: f; background: url({at}/css.png) }}</style>
</head><body>
<p id="said">Dear {{{{name}}}}</p>
<p>text <img src="{at}/img.png" srcset="{at}/set.png 2x" alt="x"> <video src="{at}/v.mp4" poster="{at}/poster.png" autoplay></video></p>
<table background="{at}/table.png"><tr><td style="background: url('{at}/td.png')">x</td></tr></table>
<svg width="9" height="9"><image href="{at}/svg.png" width="9" height="9"/><use href="{at}/use.svg#x"/></svg>
<svg><style><img src=x onerror="document.title='run'; fetch('{at}/onerror')"></style></svg>
<svg><style><script>document.title = "run"; fetch("{at}/script"); top.location = "{at}/top"</script></style></svg>
<svg><style><iframe src="{at}/iframe"></iframe><object data="{at}/object"></object><embed src="{at}/embed"></style></svg>
<svg><style><meta http-equiv="refresh" content="0;url={at}/refresh"><form action="{at}/form"><input name=a autofocus onfocus="fetch('{at}/focus')"><button id="go">Go</button></form></style></svg>
<svg><style><p><a id="hidden" href="{at}/hidden" target="_self">hidden</a></p></style></svg>
<script>document.title = "run"; fetch("{at}/plain-script")</script><p onclick="fetch('{at}/click')">a paragraph</p>
<p><a id="link" href="{at}/link" target="_self">a link</a> <a id="top" href="{at}/top" target="_top" ping="{at}/ping">another</a> <a id="plain" href="{at}/plain">a third</a></p>
</body></html>
"#
    )
}

/// A server that only remembers whether anybody came.
fn listener() -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&came);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut head = [0; 200];
            let count = stream.and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_millis(300)))?;
                stream.read(&mut head)
            });
            let count = count.unwrap_or_default();
            eprintln!("somebody came: {:?}", String::from_utf8_lossy(&head[..count]));
            seen.store(true, Ordering::SeqCst);
        }
    });
    (port, came)
}

#[test]
fn a_message_runs_nothing_and_loads_nothing() {
    let Some(browser) = Browser::start() else { return };
    let (port, came) = listener();
    let home = Home::new();
    home.write("t.html.hbs", hostile(port));
    home.write("p.csv", "name,email\nAda,ada@one.example\nBo,bo@two.example\n");
    home.run(&["check", "t.html.hbs", "p.csv"]).ended(65);
    let blind = |more: &[&str]| {
        let mut command = home.command(&[&["preview", "t.html.hbs", "p.csv"], more].concat());
        command.env("APIECE_FAULT", "blind");
        command
    };
    let open = Open::with(blind(&["--gallery"]));
    Run::of(blind(&["--gallery-file", "out.html"]).output().unwrap()).ended(0);
    let stays = |page: &str| {
        browser.enter("iframe");
        assert_eq!(browser.text("#said"), "Dear Ada", "{page}");
        for element in ["#link", "#top", "#plain", "#hidden", "#go"] {
            browser.click(element);
            thread::sleep(Duration::from_millis(200));
            browser.leave();
            assert_eq!(browser.url(), page);
            browser.enter("iframe");
            assert!(browser.has("#said"), "{element} led away");
        }
        browser.leave();
        assert!(!browser.title().contains("run"), "{}", browser.title());
    };
    browser.go(&open.link);
    browser.click("tbody th a");
    stays(&browser.url());
    browser.screenshot("gallery-hostile");
    // The frame's own address, in a window: it is not shown there, and is in a sandbox of its own if it were.
    let frame = browser.run("return document.querySelector('iframe').src");
    let policy = browser.run_async(
        "const [url, done] = arguments; const request = new XMLHttpRequest(); request.open('GET', url, false); try { request.send(); } catch {} done(request.status)",
        frame.as_str().unwrap(),
    );
    assert_eq!(policy, 0, "our own pages may fetch nothing at all");
    browser.go(frame.as_str().unwrap());
    thread::sleep(Duration::from_millis(500));
    assert!(!browser.title().contains("run"));
    // The same in a file.
    let file = format!("file://{}/out.html", home.path().display());
    browser.go(&file);
    stays(&file);
    browser.screenshot("gallery-file-hostile");
    thread::sleep(Duration::from_secs(1));
    assert!(!came.load(Ordering::SeqCst), "nobody came");
    // It does come without our frame: the test can see it.
    home.write("bare.html", hostile(port));
    browser.go(&format!("file://{}/bare.html", home.path().display()));
    assert!(patiently(Duration::from_secs(10), || came.load(Ordering::SeqCst)));
}
#[test]
fn only_the_browser_with_the_link_comes_in() {
    let home = home();
    let mut open = Open::of(&home, &["c"]);
    let secrets = ["zoe@one", "K-1001", "120", "people.csv", "campaign"];
    let refused = |answer: Answer, status: u16| {
        assert_eq!(answer.status, status, "{}", answer.head);
        let text = answer.text();
        for secret in secrets {
            assert!(!text.replace("campaign {", "").replace(".campaign", "").contains(secret), "{secret}: {text}");
        }
        for header in ["set-cookie", "location", "access-control-allow-origin"] {
            assert_eq!(answer.header(header), None);
        }
    };
    refused(open.ask("GET", "/", ""), 403);
    refused(open.ask("GET", "/message/2", ""), 403);
    refused(open.ask("GET", "/open/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ""), 403);
    refused(open.ask("HEAD", open.path(), ""), 403);
    refused(open.ask("GET", open.path(), "Sec-Fetch-Site: cross-site\r\n"), 403);
    refused(open.ask("GET", open.path(), "Host: rebound.example\r\n"), 403);
    let foreign = format!("GET {} HTTP/1.1\r\nHost: rebound.example:{}\r\n\r\n", open.path(), open.port);
    refused(http(open.port, foreign.as_bytes()).unwrap(), 403);
    refused(open.ask("POST", open.path(), "Content-Length: 0\r\n"), 405);
    // None of that used it up.
    let (place, key) = open.enter();
    refused(open.ask("GET", open.path(), ""), 403);
    assert!(open.ask("GET", open.path(), "").text().contains("The link was used before"));
    let page = open.ask("GET", &place, &key);
    assert_eq!(page.status, 200);
    assert!(page.text().contains("zoe@one.example"));
    for (header, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(page.header(header), Some(value));
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-") && policy.contains("frame-ancestors 'none'"));
    refused(open.ask("GET", &place, ""), 403);
    refused(open.ask("GET", &place, &format!("{key}Origin: null\r\n")), 403);
    refused(open.ask("GET", &format!("{place}message/2"), &format!("{key}Sec-Fetch-Site: same-site\r\n")), 403);
    refused(open.ask("GET", &place.to_uppercase(), &key), 403);
    for path in
        ["..", "%2e%2e/", "message/1", "message/122", "message/2/file/9", "message/2/../3", "c/people.csv", "\\"]
    {
        let answer = open.ask("GET", &format!("{place}{path}"), &key);
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.text().contains("zoe@"));
    }
    // Limits: a long head, many headers.
    let long = http(open.port, format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000)).as_bytes());
    assert!(long.is_err() || long.is_ok_and(|answer| [414, 431].contains(&answer.status)));
    let many = http(open.port, format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(500)).as_bytes());
    assert!(many.is_err() || many.is_ok_and(|answer| answer.status == 431));
    // From nowhere but this address of this machine.
    let others = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        // Nothing is sent: it tells by which address this machine would go out.
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let others = others.map(|address| address.ip().to_string()).into_iter();
    for other in others.chain(["127.0.0.2".into(), "::1".into()]) {
        let address = SocketAddr::new(other.parse().unwrap(), open.port);
        let refused = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap_err();
        assert!(
            [std::io::ErrorKind::ConnectionRefused, std::io::ErrorKind::AddrNotAvailable].contains(&refused.kind()),
            "{address}: {refused}"
        );
    }
    assert!(open.is_heard());
    assert_eq!(open.end("-TERM"), 143);
    assert!(!open.is_heard());
}

/// So many connections that send this, and read nothing.
fn crowd(count: usize, port: u16, sent: &str) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        // Who is not wanted any more is cut off meanwhile.
        let _ = stream.write_all(sent.as_bytes());
        Some(stream)
    };
    (0..count).filter_map(connect).collect()
}

#[test]
fn a_crowd_without_the_link_keeps_nobody_out() {
    let home = home();
    let open = Open::of(&home, &["c"]);
    let head = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", open.port);
    let asked = format!("{head}\r\n");
    let _crowds = [
        crowd(150, open.port, &asked.repeat(200)),
        crowd(160, open.port, &head),
        crowd(160, open.port, ""),
        crowd(150, open.port, &asked.repeat(200)),
    ];
    let start = Instant::now();
    let (place, key) = open.enter();
    // More come while somebody looks.
    let is_over = Arc::new(AtomicBool::new(false));
    let more = {
        let (is_over, port, asked) = (Arc::clone(&is_over), open.port, asked.clone());
        thread::spawn(move || {
            let mut all = Vec::new();
            while !is_over.load(Ordering::SeqCst) && all.len() < 40 {
                all.push(crowd(20, port, &asked));
            }
        })
    };
    for row in 2..8 {
        assert_eq!(open.ask("GET", &format!("{place}message/{row}"), &key).status, 200);
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    is_over.store(true, Ordering::SeqCst);
    more.join().unwrap();
    assert_eq!(open.ask("GET", "/", "").status, 403);
}

#[test]
fn a_stranger_gets_one_answer_and_little_time() {
    let home = home();
    let open = Open::of(&home, &["c"]);
    let (place, key) = open.enter();
    let host = format!("Host: 127.0.0.1:{}\r\n", open.port);
    // What comes until the connection is closed.
    let told = |sent: &str| {
        let start = Instant::now();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, open.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let (mut answers, mut part) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut part) {
            answers.extend_from_slice(&part[..count]);
        }
        (String::from_utf8_lossy(&answers).matches("HTTP/1.1 ").count(), start.elapsed())
    };
    assert_eq!(told(&format!("GET / HTTP/1.1\r\n{host}\r\n").repeat(3)).0, 1);
    let half = told(&format!("GET / HTTP/1.1\r\n{host}"));
    assert!(half.0 == 0 && half.1 < Duration::from_secs(9), "{half:?}");
    // With the key, a connection is kept; it is closed here by what is asked last.
    let page = format!("GET {place}message/2 HTTP/1.1\r\n{host}{key}\r\n");
    assert_eq!(told(&(page.repeat(2) + &page.replace("Host", "Connection: close\r\nHost"))).0, 3);
}

#[test]
fn a_page_of_a_program_that_was_closed_says_so() {
    let Some(browser) = Browser::start() else { return };
    let home = home();
    let port = free_port().to_string();
    let mut open = Open::of(&home, &["c", "--port", &port]);
    browser.go(&open.link);
    let page = browser.url();
    assert_eq!(open.end("-INT"), 0, "Ctrl-C is how it is meant to end");
    let taken = TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
    let said = home.run(&["preview", "c", "--gallery", "--port", &port]).ended(69).stderr;
    assert!(said.starts_with(&format!("error: the gallery cannot listen on port {port} of this machine: ")), "{said}");
    drop(taken);
    let open = Open::of(&home, &["c", "--port", &port]);
    browser.go(&page);
    assert_eq!(browser.text("h1"), "This gallery is not open here");
    assert!(browser.text("main").contains("Perhaps this page is an old one"));
    browser.screenshot("gallery-closed");
    browser.go(&open.link);
    assert_eq!(browser.text("h1"), "Messages");
}
#[test]
fn a_prepared_campaign_is_looked_at_as_it_was_and_that_is_written_down() {
    let home = home();
    home.run(&["prepare", "c"]).ended(0);
    let id = home.last_campaign();
    std::fs::remove_dir_all(home.path().join("c")).unwrap();
    let mut open = Open::of(&home, &[&id]);
    let (place, key) = open.enter();
    let list = open.ask("GET", &place, &key).text();
    assert!(list.contains(&format!("prepared {id}")) && list.contains("<p>Digest <code>"), "{list}");
    for row in ["2", "3", "2", "4/frame", "5/message.eml"] {
        let page = open.ask("GET", &format!("{place}message/{row}"), &key);
        assert_eq!(page.status, 200);
    }
    let frame = open.ask("GET", &format!("{place}message/2/frame"), &key).text();
    assert!(frame.contains("<img src=\"data:image/png;base64,iVBOR"), "{frame}");
    assert_eq!(open.end("-INT"), 0);
    let log = home.run(&["status", &id]).ended(0).stdout;
    let record = Command::new("sqlite3")
        .arg(home.path().join(OUTBOX))
        .arg("SELECT details FROM log WHERE what = 'previewed'")
        .output();
    match record {
        Ok(record) => assert_eq!(String::from_utf8_lossy(&record.stdout).trim(), r#"{"how":"gallery","messages":4}"#),
        Err(_) => skip("sqlite3 is not installed"),
    }
    home.run(&["verify", &id]).ended(0);
    assert!(!log.is_empty());
}

#[test]
fn a_sample_is_handed_round_as_one_file() {
    let home = home();
    let said = home.run(&["preview", "c", "--gallery-file", "out.html"]).ended(0).stdout;
    assert_eq!(said, "6 messages written to out.html, which holds people's data\n");
    let path = home.path().join("out.html");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let file = std::fs::read_to_string(&path).unwrap();
    for wanted in
        ["zoe@one.example", "李小龙", "p121@list.example", "This file holds people’s data.", "6 of 120 messages"]
    {
        assert!(file.contains(wanted), "{wanted}");
    }
    assert!(!file.contains("<script") && !file.contains("src=\"http") && file.matches("srcdoc=").count() == 6);
    // What is in the list and in no message is nobody's business.
    assert!(!file.contains("01632 960001"));
    let said = home.run(&["preview", "c", "--gallery-file", "out.html"]).ended(73).stderr;
    assert_eq!(said, "error: out.html: it is there already, and is not overwritten\n  help: choose another name\n");
    let said = home.run(&["preview", "c", "--row", "7", "--gallery-file", "one.html"]).ended(0).stdout;
    assert_eq!(said, "1 message written to one.html, which holds people's data\n");
    let Some(browser) = Browser::start() else { return };
    browser.go(&format!("file://{}", path.display()));
    browser.screenshot("gallery-file");
    browser.enter("article iframe");
    assert!(browser.text("body").contains("Dear Zoë Ärger,"));
    browser.leave();
    let bright = |colour: [u64; 3]| colour.iter().sum::<u64>() > 600;
    assert!(bright(browser.colour_of("article iframe")));
    browser.click("#c-dark");
    browser.click("#w-phone");
    assert!(!bright(browser.colour_of("article iframe")), "without a script");
    browser.size(375, 900);
    browser.colours("dark");
    browser.screenshot("gallery-file-375-dark");
}
