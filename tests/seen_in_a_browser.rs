//! The gallery, in a real Chromium: what can be seen, by whom, and what a message cannot do there.

use std::{
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    Home,
    browser::{Browser, http},
    people,
    processes::{ended, patiently},
    samples::parse,
};

/// Keys that have no character (WebDriver §17.4.2).
const RIGHT: &str = "\u{e014}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const TAB: &str = "\u{e004}";

/// A gallery that runs.
struct Open {
    process: Child,
    /// Opens it once.
    link: String,
    port: u16,
}

impl Open {
    fn of(home: &Home, arguments: &[&str]) -> Self {
        let arguments = [&["preview"], arguments, &["--gallery"]].concat();
        let mut process = home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut link = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut link).unwrap();
        if link.is_empty() {
            let mut said = String::new();
            process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("{said}");
        }
        let link = link.trim().to_owned();
        let port = link.split(['/', ':']).nth(4).unwrap().parse().unwrap();
        Self { process, link, port }
    }

    /// The path behind the host, of the link.
    fn path(&self) -> &str {
        &self.link[self.link.find("/open/").unwrap()..]
    }

    fn is_heard(&self) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }

    /// Asks without a browser.
    fn ask(&self, method: &str, path: &str, headers: &str) -> crate::support::browser::Answer {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{headers}\r\n", self.port);
        http(self.port, head.as_bytes()).unwrap()
    }

    /// Opens it without a browser; gives the path of its pages, and the header with the key.
    fn enter(&self) -> (String, String) {
        let answer = self.ask("GET", self.path(), "");
        assert_eq!(answer.status, 303, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap();
        (answer.header("location").unwrap().to_owned(), format!("Cookie: {cookie}\r\n"))
    }

    /// Sends a signal and gives the exit code.
    fn end(&mut self, signal: &str) -> i32 {
        assert!(Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap().success());
        assert!(patiently(Duration::from_secs(20), || ended(&mut self.process)), "it ends");
        self.process.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A picture that is 1 by 1 and red.
const RED: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";

const TEMPLATE: &str = r#"+++
from = "Operation Example <updates@police.example>"
subject = "An update on your case {{case}}, {{name}}"
to = "{{name}}"
attachments = ["leaflet.pdf"]
[inline]
logo = "logo.png"
+++
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>Update</title>
<style>
body { margin: 0; padding: 24px; font-family: sans-serif; background-color: #ffffff; color: #222222; }
@media (prefers-color-scheme: dark) { body { background-color: #101014 !important; color: #eeeeee !important; } }
@media (max-width: 480px) { .wide { display: none !important; } }
</style></head>
<body>
<p><img src="cid:logo" alt="Example Police" width="120" height="40"></p>
<p>Dear {{name}},</p>
<p>this is an update on the investigation that you are a part of.</p>
{{#if court}}<p>There will be a hearing on <strong>{{court}}</strong>.</p>{{else}}<p>No hearing has been set yet.</p>{{/if}}
{{#unless phone}}<p>We have no telephone number of yours.</p>{{/unless}}
<p class="wide">You can answer this message.</p>
<p><a href="https://police.example/help">Help for victims</a></p>
</body>
</html>
"#;

/// A home with 120 people, three of whom have something to be seen.
fn home() -> Home {
    let home = Home::new();
    home.write("c/campaign.toml", "template = \"t.html.hbs\"\nrecipients = \"people.csv\"\n");
    home.write("c/t.html.hbs", TEMPLATE);
    home.write("c/leaflet.pdf", crate::support::pdf("Help for victims"));
    home.write("c/logo.png", RED);
    let mut list = String::from("name,case,court,phone,email\n");
    list += "Zoë Ärger,K-1001,3 May 2027,01632 960001,zoe@one.example\n";
    list += "Ждана Петрова,K-1002,,01632 960002,zhdana@два.example\n";
    list += "李小龙,K-1003,,,li@three.example\n";
    for row in 5..122 {
        let court = if row % 5 == 0 { "9 June 2027" } else { "" };
        list += &format!("Person {row},K-{},{court},01632 96{row:04},p{row}@list.example\n", 1000 + row);
    }
    home.write("c/people.csv", list);
    home
}

#[test]
fn people_are_found_and_gone_through() {
    let Some(browser) = Browser::start() else { return };
    let home = home();
    let open = Open::of(&home, &["c"]);
    browser.go(&open.link);
    assert!(!browser.url().contains("open/"), "no token in the address: {}", browser.url());
    assert_eq!(browser.title(), "Messages – c – apiece");
    assert_eq!(browser.text("h1"), "Messages");
    assert_eq!(browser.text(".count"), "1 to 50 of 120");
    for (colours, width) in [("light", 1280), ("dark", 1280), ("light", 375), ("dark", 375)] {
        browser.colours(colours);
        browser.size(width, 900);
        browser.screenshot(&format!("gallery-list-{width}-{colours}"));
        let fits = browser.run("return document.documentElement.scrollWidth <= window.innerWidth");
        assert_eq!(fits, true, "nothing sticks out at {width}");
    }
    browser.colours("light");
    browser.size(1280, 900);
    // Paging by key and by mouse.
    browser.press("n");
    assert_eq!(browser.text(".count"), "51 to 100 of 120");
    browser.click("a[rel=next]");
    assert_eq!(browser.text(".count"), "101 to 120 of 120");
    assert!(!browser.has("a[rel=next]"));
    browser.press("k");
    assert_eq!(browser.text(".count"), "51 to 100 of 120");
    // Search by key: a name in another case and composed otherwise, an address, a row.
    for (typed, count, first) in [
        ("ZOE\u{308}", "1 to 1 of 1", "zoe@one.example"),
        ("петрова", "1 to 1 of 1", "zhdana@xn--"),
        ("p77@LIST", "1 to 1 of 1", "p77@list.example"),
        ("7", "1 to ", "p7@list.example"),
        ("hearing <b>\"", "Nobody was found · Show all", ""),
    ] {
        browser.press("/");
        browser.press("x");
        browser.type_into("#q", &format!("\u{e009}a\u{e000}{typed}{ENTER}"));
        let found = || browser.shows(".count", count) && browser.shows("tbody th", first);
        assert!(patiently(Duration::from_secs(10), found), "{typed}: {}", browser.text("main"));
    }
    // Through those found alone.
    browser.go(&format!("{}?q=9+june", browser.url().split('?').next().unwrap()));
    assert_eq!(browser.text(".count"), "1 to 24 of 24 · Show all");
    browser.click("tbody th a");
    assert_eq!(browser.text("h1"), "An update on your case K-1005, Person 5");
    assert_eq!(browser.text(".where"), "1 of 24 found");
    browser.press(RIGHT);
    assert_eq!(browser.text("h1"), "An update on your case K-1010, Person 10");
    browser.press("j");
    browser.press("p");
    assert_eq!(browser.text("h1"), "An update on your case K-1010, Person 10");
    // Keys can be looked up, and done without.
    browser.press("?");
    assert_eq!(browser.run("return document.getElementById('keys').open"), true);
    browser.screenshot("gallery-keys");
    browser.click("#keys-on");
    browser.press(ESCAPE);
    browser.press("n");
    assert_eq!(browser.text("h1"), "An update on your case K-1010, Person 10");
    browser.click("#keys-open");
    browser.click("#keys-on");
    browser.press(ESCAPE);
    browser.press("u");
    assert_eq!(browser.text("h1"), "Messages");
    // One of each combination.
    browser.click(".tools a");
    assert_eq!(browser.text("h1"), "Combinations of branches");
    assert!(browser.text(".ways").contains("Combination 1: 25 people"), "{}", browser.text(".ways"));
    browser.screenshot("gallery-branches");
    browser.click(".ways li:nth-child(3) a.button");
    assert_eq!(browser.text(".where"), "1 of 1 found");
    assert!(browser.text("h1").contains("李小龙"));
}

#[test]
fn a_message_is_seen_as_it_is() {
    let Some(browser) = Browser::start() else { return };
    let home = home();
    let open = Open::of(&home, &["c"]);
    browser.go(&open.link);
    browser.click("tbody th a");
    assert_eq!(browser.text("h1"), "An update on your case K-1001, Zoë Ärger");
    let facts = browser.text(".facts");
    for fact in ["Operation Example <updates@police.example>", "zoe@one.example alone", "Row 2"] {
        assert!(facts.replace('\n', " ").contains(fact), "{facts}");
    }
    assert!(browser.text("aside").contains("{{#if court}} (c/t.html.hbs:21) shown"), "{}", browser.text("aside"));
    assert!(browser.text("aside").contains("{{#unless phone}} (c/t.html.hbs:22) not shown"));
    browser.enter("iframe");
    let text = browser.text("body");
    assert!(text.contains("Dear Zoë Ärger,") && text.contains("a hearing on 3 May 2027"), "{text}");
    assert!(text.contains("You can answer this message."), "wide");
    browser.leave();
    // Light and dark, of the pages and of the message, are two things.
    let bright = |colour: [u64; 3]| colour.iter().sum::<u64>() > 600;
    for (colours, width) in [("light", 1280), ("dark", 1280), ("light", 375), ("dark", 375)] {
        browser.colours(colours);
        browser.size(width, 1000);
        browser.screenshot(&format!("gallery-message-{width}-{colours}"));
        assert!(bright(browser.colour_of("iframe")), "{colours} pages, light message");
        let fits = browser.run("return document.documentElement.scrollWidth <= window.innerWidth");
        assert_eq!(fits, true, "nothing sticks out at {width}");
    }
    browser.colours("light");
    browser.size(1280, 1000);
    browser.press("d");
    assert!(!bright(browser.colour_of("iframe")), "a dark message on light pages");
    browser.screenshot("gallery-message-dark");
    browser.press("w");
    browser.screenshot("gallery-message-dark-phone");
    assert_eq!(browser.run("return document.querySelector('iframe').clientWidth"), 373, "and its border");
    browser.enter("iframe");
    assert!(!browser.text("body").contains("You can answer"), "narrow");
    browser.leave();
    browser.press("n");
    assert!(browser.url().contains("width=phone") && browser.url().contains("scheme=dark"), "{}", browser.url());
    browser.press("2");
    assert!(browser.text("pre.text").contains("Dear Ждана Петрова,"));
    browser.screenshot("gallery-text");
    browser.press("3");
    let headers = browser.text(".main table");
    assert!(headers.contains("Subject An update on your case K-1002, Ждана Петрова"), "{headers}");
    browser.press("4");
    assert!(browser.text("pre.source").contains("Subject: =?utf-8?"), "{}", browser.text("pre.source"));
    browser.screenshot("gallery-source");
    browser.press("5");
    let files = browser.text(".main table");
    assert!(files.contains("leaflet.pdf") && files.contains("application/pdf"), "{files}");
    assert!(files.contains("logo.png") && files.contains("within the HTML"), "{files}");
    browser.screenshot("gallery-attachments");
    // The file comes as a file.
    let link = browser.run("return document.querySelector('.main tbody a').getAttribute('href')");
    drop(browser);
    let again = Open::of(&home, &["c"]);
    let (place, key) = again.enter();
    let path = link.as_str().unwrap().split("/message/").nth(1).unwrap();
    let file = again.ask("GET", &format!("{place}message/{path}"), &key);
    let wanted = [crate::support::pdf("Help for victims"), RED.to_vec()];
    assert!(wanted.contains(&file.body), "{}", file.head);
    assert!(file.header("content-disposition").unwrap().starts_with("attachment; filename*=UTF-8''"));
    assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    let eml = again.ask("GET", &format!("{place}message/4/message.eml"), &key);
    assert!(parse(&eml.body).body_text(0).unwrap().contains("Dear 李小龙,"));
}

#[test]
fn what_was_noticed_stands_beside_the_message() {
    let Some(browser) = Browser::start() else { return };
    let home = Home::new();
    home.write("c/campaign.toml", "template = \"t.md.hbs\"\nrecipients = \"people.csv\"\n");
    home.write(
        "c/t.md.hbs",
        "+++\nfrom = \"u@police.example\"\nsubject = \"For {{name}}\"\n+++\nDear {{name}},\n\n{{note}}\n",
    );
    let list = "name,note,email\nAda,ask bo@two.example,ada@one.example\nBo,fine,bo@two.example\nCem,J\u{fffd}rg,cem@three.example\n<b>Dee</b>,,dee@four.example\n";
    home.write("c/people.csv", list);
    let open = Open::of(&home, &["c"]);
    browser.go(&open.link);
    let rows = browser.text("tbody");
    assert!(rows.contains("ada@one.example For Ada 1 error"), "{rows}");
    assert!(rows.contains("bo@two.example For Bo nothing"), "{rows}");
    assert!(rows.contains("dee@four.example This message cannot be made 1 error"), "{rows}");
    browser.screenshot("gallery-noticed");
    browser.click("tbody tr:nth-child(1) a");
    let said = browser.text(".main .notes");
    assert!(said.contains("holds \"bo@two.example\", the address of row 3"), "{said}");
    browser.screenshot("gallery-finding");
    browser.press("n");
    assert!(!browser.has(".main .notes"));
    browser.press("n");
    let said = browser.text(".main .notes");
    assert!(said.starts_with("Warning column note:"), "{said}");
    browser.press("n");
    let said = browser.text(".main .notes");
    assert!(said.starts_with("Error column note:") && !browser.has("iframe"), "{said}");
    assert!(browser.text("aside").contains("<b>Dee</b>"));
    browser.screenshot("gallery-not-made");
}

/// What tries to run or to load, by ways that the check of templates lets through or does not see: `SVG` is read by it in
/// another way than by browsers.
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
    let open = Open::of(&home, &["t.html.hbs", "p.csv"]);
    home.run(&["preview", "t.html.hbs", "p.csv", "--gallery-file", "out.html"]).ended(0);
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
    let refused = |answer: crate::support::browser::Answer, status: u16| {
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

#[test]
fn many_who_say_nothing_keep_nobody_out() {
    let home = home();
    let open = Open::of(&home, &["c"]);
    let _silent: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, open.port)).unwrap()).collect();
    let start = Instant::now();
    assert_eq!(open.ask("GET", "/", "").status, 403);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_page_of_a_program_that_was_closed_says_so() {
    let Some(browser) = Browser::start() else { return };
    let home = home();
    let port = crate::support::processes::free_port().to_string();
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

/// The roles and names of what a screen reader is told, of a page.
fn told(browser: &Browser) -> Vec<(String, String)> {
    let tree = browser.devtools("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
    let heard = nodes.iter().filter(|node| node["ignored"] == false);
    heard.map(|node| (text(&node["role"]), text(&node["name"]))).collect()
}

#[test]
fn a_screen_reader_is_told_what_there_is() {
    let Some(browser) = Browser::start() else { return };
    let home = home();
    let open = Open::of(&home, &["c"]);
    browser.go(&open.link);
    let has = |told: &[(String, String)], role: &str, name: &str| {
        assert!(
            told.iter().any(|node| (node.0.as_str(), node.1.as_str()) == (role, name)),
            "{role} {name:?}: {told:#?}"
        );
    };
    let check = |told: &[(String, String)]| {
        let count = |role: &str| told.iter().filter(|node| node.0 == role).count();
        assert_eq!((count("main"), count("banner"), count("contentinfo")), (1, 1, 1));
        for role in ["link", "button", "searchbox", "heading", "Iframe", "navigation", "table", "columnheader"] {
            assert!(told.iter().all(|node| node.0 != role || !node.1.is_empty()), "a {role} without a name: {told:#?}");
        }
        assert_eq!(browser.run("return document.querySelectorAll('h1').length"), 1);
        assert_eq!(browser.run("return document.documentElement.lang"), "en");
        let levels = "let last = 0; return [...document.querySelectorAll('h1,h2,h3')].every(h => { const level = +h.tagName[1]; const fits = level <= last + 1; last = level; return fits; })";
        assert_eq!(browser.run(levels), true, "no level of headings is left out");
    };
    let list = told(&browser);
    check(&list);
    for (role, name) in [
        ("heading", "Messages"),
        ("search", ""),
        ("searchbox", "Search"),
        ("button", "Find"),
        ("table", "Messages, one for each person"),
        ("columnheader", "To"),
        ("rowheader", "zoe@one.example"),
        ("navigation", "Pages of the list"),
        ("link", "Next"),
        ("link", "Skip to the content"),
    ] {
        has(&list, role, name);
    }
    // The first stop is the way past everything else, and it can be seen.
    browser.press(TAB);
    assert_eq!(browser.run("return document.activeElement.className"), "skip");
    let seen = "const box = document.activeElement.getBoundingClientRect(); return box.top >= 0 && box.height > 0 && getComputedStyle(document.activeElement).outlineStyle !== 'none'";
    assert_eq!(browser.run(seen), true);
    browser.press(ENTER);
    assert_eq!(browser.run("return document.activeElement.id"), "main");
    browser.click("tbody th a");
    let message = told(&browser);
    check(&message);
    for (role, name) in [
        ("heading", "An update on your case K-1001, Zoë Ärger"),
        ("navigation", "Messages"),
        ("navigation", "Views of the message"),
        ("navigation", "Width"),
        ("complementary", "About this message"),
        ("Iframe", "The message to zoe@one.example, as HTML"),
        ("heading", "Branches taken"),
    ] {
        has(&message, role, name);
    }
    assert_eq!(browser.text(".tabs [aria-current=page]"), "HTML");
    // Text that can be read in both schemes (WCAG 2.2 §1.4.3), of whatever stands in the page.
    for scheme in ["light", "dark"] {
        browser.colours(scheme);
        assert_eq!(browser.run(CONTRAST), json!([]), "{scheme}");
    }
    browser.press("u");
    for scheme in ["light", "dark"] {
        browser.colours(scheme);
        assert_eq!(browser.run(CONTRAST), json!([]), "{scheme}");
    }
}

/// Texts whose contrast with what lies behind them is less than 4.5 to 1.
const CONTRAST: &str = "const parse = text => text.match(/[\\d.]+/g).map(Number); \
    const light = rgb => { const [r, g, b] = rgb.slice(0, 3).map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; }; \
    const behind = element => { for (let e = element; e; e = e.parentElement) { const rgb = parse(getComputedStyle(e).backgroundColor); if (rgb.length === 3 || rgb[3] === 1) return rgb; } return [255, 255, 255]; }; \
    const faint = []; for (const element of document.querySelectorAll('body *')) { \
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()) || !element.checkVisibility() || element.matches('script, style, .off')) continue; \
    const one = light(parse(getComputedStyle(element).color)), other = light(behind(element)); \
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05); \
    if (contrast < 4.5) faint.push(element.outerHTML.slice(0, 80) + ' ' + contrast); } return faint;";

/// What the program had at most in memory, in MB.
fn most_memory(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1000
}

#[test]
fn a_hundred_thousand_people_are_no_burden() {
    let Some(browser) = Browser::start() else { return };
    let home = Home::new();
    home.campaign(&people(100_000));
    let start = Instant::now();
    let open = Open::of(&home, &["c"]);
    let loaded = start.elapsed();
    let before = most_memory(&open.process);
    let timed = |what: &str, does: &dyn Fn()| {
        let start = Instant::now();
        does();
        eprintln!("{what}: {:?}", start.elapsed());
        start.elapsed()
    };
    eprintln!("read: {loaded:?}, {before} MB");
    let first = timed("first page", &|| browser.go(&open.link));
    assert_eq!(browser.text(".count"), "1 to 50 of 100,000");
    let page = browser.url();
    let search = timed("search", &|| browser.go(&format!("{page}?q=person+99999")));
    assert_eq!(browser.text(".count"), "1 to 1 of 1 · Show all");
    let last = timed("last page", &|| browser.go(&format!("{page}?page=2000")));
    assert_eq!(browser.text(".count"), "99,951 to 100,000 of 100,000");
    timed("last message", &|| browser.click("tbody tr:last-child a"));
    assert_eq!(browser.text("h1"), "For Person 100001");
    timed("far page", &|| browser.go(&format!("{page}?page=99999999")));
    assert_eq!(browser.text(".pages span"), "Page 2,000 of 2,000");
    let after = most_memory(&open.process);
    eprintln!("afterwards: {after} MB");
    assert!(after < before + 60, "{before} MB, then {after} MB");
    // 100,000 messages take a minute in this build; a page of them does not.
    assert!(first + search + last < Duration::from_secs(30), "{first:?}, {search:?}, {last:?}");
}

#[test]
fn large_messages_are_shown() {
    let Some(browser) = Browser::start() else { return };
    let home = Home::new();
    let long = "<p>Grüße, and a paragraph of some words that goes on for a while.</p>\n".repeat(14_000);
    let template = format!(
        "+++\nfrom = \"u@police.example\"\nsubject = \"Long\"\nattachments = [\"big.bin\"]\n+++\n<!DOCTYPE html><html><body><p>Dear {{{{name}}}}</p>{long}<p id=\"end\">end</p></body></html>"
    );
    let template = template.as_bytes();
    // As long as templates may be.
    assert!(template.len() > 1_000_000);
    home.write("t.html.hbs", template);
    home.write("big.bin", vec![7_u8; 5_000_000]);
    home.write("p.csv", "name,email\nAda,ada@one.example\n");
    let open = Open::of(&home, &["t.html.hbs", "p.csv"]);
    browser.go(&open.link);
    assert!(browser.text("tbody").contains("large: looked through when opened"));
    browser.click("tbody th a");
    browser.enter("iframe");
    assert!(browser.has("#end"));
    browser.leave();
    browser.press("2");
    assert!(browser.text(".main").contains("The rest is too long for a page."));
    browser.press("4");
    assert!(browser.text(".main").contains("this is the beginning of it"));
    assert!(browser.run("return document.documentElement.outerHTML.length").as_u64().unwrap() < 600_000);
    browser.press("5");
    assert!(browser.text(".main table").contains("5.0 MB"));
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
    for row in ["2", "3", "2", "4/frame"] {
        let page = open.ask("GET", &format!("{place}message/{row}"), &key);
        assert_eq!(page.status, 200);
    }
    let frame = open.ask("GET", &format!("{place}message/2/frame"), &key).text();
    assert!(frame.contains("<img src=\"data:image/png;base64,iVBOR"), "{frame}");
    assert_eq!(open.end("-INT"), 0);
    let log = home.run(&["status", &id]).ended(0).stdout;
    let record = Command::new("sqlite3")
        .arg(home.path().join(crate::support::OUTBOX))
        .arg("SELECT details FROM log WHERE what = 'previewed'")
        .output();
    match record {
        Ok(record) => assert_eq!(String::from_utf8_lossy(&record.stdout).trim(), r#"{"how":"gallery","messages":2}"#),
        Err(_) => crate::support::skip("sqlite3 is not installed"),
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
