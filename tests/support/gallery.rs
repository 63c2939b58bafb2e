//! The gallery of a campaign, while it runs.

use std::{
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{
    Home,
    browser::{Answer, http},
    pdf,
    processes::{ended, patiently},
};

/// A gallery that runs.
pub(crate) struct Open {
    pub(crate) process: Child,
    /// Opens it once.
    pub(crate) link: String,
    pub(crate) port: u16,
}

impl Open {
    pub(crate) fn of(home: &Home, arguments: &[&str]) -> Self {
        Self::with(home.command(&[&["preview"], arguments, &["--gallery"]].concat()))
    }

    pub(crate) fn with(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
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
    pub(crate) fn path(&self) -> &str {
        &self.link[self.link.find("/open/").unwrap()..]
    }

    pub(crate) fn is_heard(&self) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }

    /// Asks without a browser.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{headers}\r\n", self.port);
        http(self.port, head.as_bytes()).unwrap()
    }

    /// Opens it without a browser; gives the path of its pages, and the header with the key.
    pub(crate) fn enter(&self) -> (String, String) {
        let answer = self.ask("GET", self.path(), "");
        assert_eq!(answer.status, 303, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap();
        (answer.header("location").unwrap().to_owned(), format!("Cookie: {cookie}\r\n"))
    }

    /// Sends a signal and gives the exit code.
    pub(crate) fn end(&mut self, signal: &str) -> i32 {
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
pub(crate) const RED: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";

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
pub(crate) fn home() -> Home {
    let home = Home::new();
    home.write("c/campaign.toml", "template = \"t.html.hbs\"\nrecipients = \"people.csv\"\n");
    home.write("c/t.html.hbs", TEMPLATE);
    home.write("c/leaflet.pdf", pdf("Help for victims"));
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
