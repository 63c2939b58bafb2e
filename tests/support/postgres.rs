//! PostgreSQL clusters of the tests' own: from Debian's package, in a temporary directory, stopped when the tests end.

use std::{
    fs,
    io::Read,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The user that PostgreSQL makes its own tables as.
pub const ADMIN: &str = "postgres";

/// A server with its databases.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    pub port: u16,
    server: Option<Child>,
    settings: Vec<String>,
    /// Whoever holds the other end stops the server when this one is gone, however that happened.
    _watch: ChildStdin,
    watcher: Child,
}

/// The programs of the newest version that is installed.
fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed (tests/run does that)");
    let mut versions: Vec<PathBuf> = versions.map(|version| version.unwrap().path().join("bin")).collect();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    versions.pop().expect("PostgreSQL's programs are there")
}

/// A command as the user postgres: PostgreSQL does not run as root.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new(program);
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        let number = |which: &str| -> u32 {
            let said = Command::new("id").args([which, "postgres"]).output().unwrap().stdout;
            String::from_utf8(said).unwrap().trim().parse().unwrap()
        };
        command.uid(number("-u")).gid(number("-g"));
    }
    command.current_dir("/").env("LC_ALL", "C.UTF-8");
    command
}

impl Cluster {
    /// One for all tests of this process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// One of one's own, with further settings: `name=value`.
    pub fn start(settings: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("apiece-pg-").tempdir().unwrap().keep();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        let data = directory.join("data");
        let made = as_postgres(&bin().join("initdb"))
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-U", ADMIN, "-D"])
            .arg(&data)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // When this process is gone, the other end of the pipe is closed.
        let script =
            r#"cat > /dev/null; kill -INT "$(head -1 "$0/data/postmaster.pid")" 2> /dev/null; sleep 1; rm -rf "$0""#;
        let mut watcher = Command::new("setsid")
            .args(["sh", "-c", script])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let watch = watcher.stdin.take().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut cluster = Self { directory, port, server: None, settings, _watch: watch, watcher };
        cluster.run();
        cluster
    }

    /// Starts the server, and waits until it answers.
    pub fn run(&mut self) {
        let mut command = as_postgres(&bin().join("postgres"));
        let socket = self.directory.display().to_string();
        command.arg("-D").arg(self.directory.join("data"));
        let usual =
            ["listen_addresses=", "fsync=off", "max_connections=200", "log_min_messages=warning"].map(str::to_owned);
        let own = [format!("unix_socket_directories={socket}"), format!("port={}", self.port)];
        for setting in usual.iter().chain(&own).chain(&self.settings) {
            command.args(["-c", setting]);
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.directory.join("log")).unwrap();
        let server = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.server = Some(server);
        let start = Instant::now();
        while !self.answers() {
            assert!(start.elapsed() < Duration::from_secs(60), "PostgreSQL does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let ready = Command::new(bin().join("pg_isready")).arg("-q").args(self.to_connect()).status();
        ready.unwrap().success()
    }

    fn to_connect(&self) -> [String; 6] {
        let host = self.directory.display().to_string();
        ["-h".into(), host, "-p".into(), self.port.to_string(), "-U".into(), ADMIN.into()]
    }

    /// What the server said.
    pub fn log(&self) -> String {
        let mut text = String::new();
        let _ = fs::File::open(self.directory.join("log")).and_then(|mut log| log.read_to_string(&mut text));
        text
    }

    /// Stops the server as a power cut would, but for what the system has in memory.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let children = format!("/proc/{0}/task/{0}/children", server.id());
            let children = fs::read_to_string(children).unwrap_or_default();
            server.kill().unwrap();
            server.wait().unwrap();
            for child in children.split_whitespace() {
                let _ = Command::new("kill").args(["-KILL", child]).stderr(Stdio::null()).status();
            }
            let _ = fs::remove_file(self.directory.join("data/postmaster.pid"));
        }
    }

    /// What a statement says, as `psql` prints it without ornament; the statement must be carried out.
    pub fn say(&self, database: &str, sql: &str) -> String {
        let said = Command::new(bin().join("psql"))
            .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql])
            .args(self.to_connect())
            .output()
            .unwrap();
        assert!(said.status.success(), "{sql}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap().trim_end().to_owned()
    }

    /// All that is in the database at an address, as text.
    pub fn dump(&self, address: &str) -> String {
        let name = Self::name_of(address);
        let said =
            Command::new(bin().join("pg_dump")).args(self.to_connect()).args(["--inserts", name]).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    }

    /// A new database; gives its address, over the socket.
    pub fn database(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("mail_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.say(ADMIN, &format!("CREATE DATABASE {name}"));
        self.address(&name)
    }

    /// Gives a file to the user that the server runs as, and to nobody else.
    pub fn give(file: &Path) {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        let given = Command::new("chown").arg("postgres:").arg(file).status().unwrap();
        assert!(given.success() || std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) != 0);
    }

    /// Lets others reach what they know to be in a directory.
    pub fn open_to_search(directory: &Path) {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o711)).unwrap();
    }

    /// Who may come in over the network, as lines of `pg_hba.conf`.
    pub fn allow(&self, lines: &str) {
        let file = self.directory.join("data/pg_hba.conf");
        let before = fs::read_to_string(&file).unwrap();
        let local = before.lines().filter(|line| line.starts_with("local")).collect::<Vec<_>>().join("\n");
        fs::write(&file, format!("{local}\n{lines}\n")).unwrap();
        self.say(ADMIN, "SELECT pg_reload_conf()");
        std::thread::sleep(Duration::from_millis(300));
    }

    /// What is said to a role about a statement that it may not carry out.
    pub fn refused(&self, database: &str, role: &str, sql: &str) -> String {
        let host = self.directory.display().to_string();
        let said = Command::new(bin().join("psql"))
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", &host, "-p", &self.port.to_string(), "-U", role])
            .args(["-d", database, "-c", sql])
            .output()
            .unwrap();
        assert!(!said.status.success(), "{sql} was carried out for {role}");
        String::from_utf8(said.stderr).unwrap()
    }

    /// How apiece is told where a database is.
    pub fn address(&self, database: &str) -> String {
        format!("postgres://{ADMIN}@/{database}?host={}&port={}", self.directory.display(), self.port)
    }

    /// The name of the database at an address.
    pub fn name_of(address: &str) -> &str {
        address.split('?').next().and_then(|address| address.rsplit('/').next()).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = Command::new("kill").args(["-INT", &server.id().to_string()]).status();
            let _ = server.wait();
        }
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
