//! The gallery, in a real Chromium: what can be seen there, by whoever looks.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    Home,
    browser::Browser,
    gallery::{Open, RED, home},
    pdf, people,
    processes::patiently,
    samples::parse,
};

/// Keys that have no character (WebDriver §17.4.2).
const RIGHT: &str = "\u{e014}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const TAB: &str = "\u{e004}";
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
    let wanted = [pdf("Help for victims"), RED.to_vec()];
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
