//! A real Chromium, driven over chromedriver's HTTP (W3C WebDriver).

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::processes::{end_group, free_port, patiently};

/// One browser at a time is enough for a small machine.
static ONE: Mutex<()> = Mutex::new(());

/// What an answer over HTTP was.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The lines of its head
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values = self.head.lines().filter_map(|line| line.split_once(':'));
        values.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Sends bytes to a port of this machine and reads the answer to its end.
pub(crate) fn http(port: u16, request: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(180)))?;
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        let head_text = head.map(|end| String::from_utf8_lossy(&bytes[..end]).into_owned());
        if let (Some(end), Some(head)) = (head, head_text) {
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
            let answer = Answer { status, head, body: Vec::new() };
            let length: usize = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            let length = if request.starts_with(b"HEAD") { 0 } else { length };
            if bytes.len() >= end + 4 + length {
                return Ok(Answer { body: bytes[end + 4..end + 4 + length].to_vec(), ..answer });
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            // Another test's child may have ended.
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
}

/// A browser with a profile of its own, which ends with it.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
    _only: MutexGuard<'static, ()>,
}

/// Something in a page.
pub(crate) struct Element(String);

impl Browser {
    /// Starts it; none where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let installed = ["/usr/bin/chromium", "/usr/bin/chromedriver"].iter().all(|path| Path::new(path).exists());
        if !installed {
            super::skip("chromium and chromium-driver are not installed");
            return None;
        }
        let only = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let driver = Command::new("/usr/bin/chromedriver")
            .arg(format!("--port={port}"))
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver starts");
        let mut browser = Self { driver, port, session: String::new(), _profile: profile, _only: only };
        let ready = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        assert!(patiently(Duration::from_secs(30), ready), "chromedriver listens");
        let mut arguments = vec![
            "--headless=new",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--hide-scrollbars",
        ];
        if rustix::process::getuid().is_root() {
            arguments.push("--no-sandbox");
        }
        let options = json!({ "binary": "/usr/bin/chromium", "args": arguments });
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } });
        // It may listen before it is ready to answer.
        let mut session = Err(String::new());
        for _ in 0..5 {
            session = browser.ask("POST", "", &wanted.to_string());
            if session.is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        let session = session.unwrap_or_else(|why| panic!("no session: {why}"));
        browser.session = session["sessionId"].as_str().unwrap_or_else(|| panic!("{session}")).to_owned();
        browser.size(1280, 900);
        Some(browser)
    }

    fn ask(&self, method: &str, command: &str, body: &str) -> Result<Value, String> {
        let path =
            if self.session.is_empty() { "/session".into() } else { format!("/session/{}{command}", self.session) };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        );
        let answer = http(self.port, request.as_bytes()).map_err(|why| why.to_string())?;
        let mut value: Value = serde_json::from_slice(&answer.body).map_err(|why| why.to_string())?;
        let value = value["value"].take();
        if answer.status == 200 { Ok(value) } else { Err(value["message"].to_string()) }
    }

    #[track_caller]
    fn post(&self, command: &str, body: &Value) -> Value {
        self.ask("POST", command, &body.to_string()).unwrap_or_else(|why| panic!("{command}: {why}"))
    }

    #[track_caller]
    fn get(&self, command: &str) -> Value {
        self.ask("GET", command, "").unwrap_or_else(|why| panic!("{command}: {why}"))
    }

    /// Opens a page, and waits until it is there.
    #[track_caller]
    pub(crate) fn go(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    pub(crate) fn url(&self) -> String {
        self.get("/url").as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn title(&self) -> String {
        self.get("/title").as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn find(&self, css: &str) -> Element {
        self.try_find(css).unwrap_or_else(|why| panic!("{css}: {why}"))
    }

    pub(crate) fn has(&self, css: &str) -> bool {
        self.try_find(css).is_ok()
    }

    fn try_find(&self, css: &str) -> Result<Element, String> {
        let body = json!({ "using": "css selector", "value": css }).to_string();
        let found = self.ask("POST", "/element", &body)?;
        // The name that the standard gives the reference of an element
        Ok(Element(found["element-6066-11e4-a52e-4f735466cecf"].as_str().unwrap_or_default().to_owned()))
    }

    /// The text of something, as it is shown.
    #[track_caller]
    pub(crate) fn text(&self, css: &str) -> String {
        let Element(id) = self.find(css);
        self.get(&format!("/element/{id}/text")).as_str().unwrap_or_default().to_owned()
    }

    /// Whether the text of something begins so, while the page may be on its way; without a text, whether it is not there.
    pub(crate) fn shows(&self, css: &str, start: &str) -> bool {
        let Ok(Element(id)) = self.try_find(css) else { return start.is_empty() };
        let text = self.ask("GET", &format!("/element/{id}/text"), "").unwrap_or_default();
        !start.is_empty() && text.as_str().is_some_and(|text| text.starts_with(start))
    }

    #[track_caller]
    pub(crate) fn click(&self, css: &str) {
        let Element(id) = self.find(css);
        self.post(&format!("/element/{id}/click"), &json!({}));
    }

    /// Types into something.
    #[track_caller]
    pub(crate) fn type_into(&self, css: &str, keys: &str) {
        let Element(id) = self.find(css);
        self.post(&format!("/element/{id}/value"), &json!({ "text": keys }));
    }

    /// Presses a key where the focus is.
    #[track_caller]
    pub(crate) fn press(&self, key: &str) {
        let press = |kind: &str| json!({ "type": kind, "value": key });
        let keys = json!({ "type": "key", "id": "keys", "actions": [press("keyDown"), press("keyUp")] });
        self.post("/actions", &json!({ "actions": [keys] }));
    }

    /// What a script in the page returns.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The same for one that calls its last argument with the result.
    #[track_caller]
    pub(crate) fn run_async(&self, script: &str, argument: &str) -> Value {
        self.post("/execute/async", &json!({ "script": script, "args": [argument] }))
    }

    /// A command of the DevTools protocol.
    #[track_caller]
    pub(crate) fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Goes into a frame.
    #[track_caller]
    pub(crate) fn enter(&self, css: &str) {
        let Element(id) = self.find(css);
        self.post("/frame", &json!({ "id": { "element-6066-11e4-a52e-4f735466cecf": id } }));
    }

    pub(crate) fn leave(&self) {
        self.post("/frame", &json!({ "id": null }));
    }

    /// How large the page is shown.
    pub(crate) fn size(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
    }

    /// Which colours its user likes: `light` or `dark`.
    pub(crate) fn colours(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// Keeps a picture of the page in `target/screenshots`, for a person to look at.
    pub(crate) fn screenshot(&self, name: &str) {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&directory).expect("a directory");
        let picture = self.get("/screenshot");
        let picture = STANDARD.decode(picture.as_str().unwrap_or_default()).expect("base64");
        std::fs::write(directory.join(format!("{name}.png")), picture).expect("the picture is written");
    }

    /// The average colour of something: red, green and blue from 0 to 255.
    pub(crate) fn colour_of(&self, css: &str) -> [u64; 3] {
        const AVERAGE: &str = "const [data, done] = arguments; const image = new Image(); image.onload = () => { \
            const canvas = document.createElement('canvas'); canvas.width = image.width; canvas.height = image.height; \
            const context = canvas.getContext('2d'); context.drawImage(image, 0, 0); \
            const pixels = context.getImageData(0, 0, image.width, image.height).data; const sum = [0, 0, 0]; \
            for (let at = 0; at < pixels.length; at += 4) for (let of = 0; of < 3; of++) sum[of] += pixels[at + of]; \
            done(sum.map(colour => Math.round(colour * 4 / pixels.length))); }; image.src = 'data:image/png;base64,' + data;";
        let Element(id) = self.find(css);
        let picture = self.get(&format!("/element/{id}/screenshot")).as_str().unwrap_or_default().to_owned();
        let average = self.run_async(AVERAGE, &picture);
        [0, 1, 2].map(|nth| average[nth].as_u64().unwrap_or_else(|| panic!("{average}")))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.ask("DELETE", "", "");
        end_group(&mut self.driver);
    }
}
