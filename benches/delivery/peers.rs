//! What else can send mail.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::runtime::Runtime;

/// Messages a second of Postfix's generator of load.
pub(crate) fn smtp_source(port: u16, sessions: usize, count: usize) -> f64 {
    let start = Instant::now();
    let status = Command::new("/usr/sbin/smtp-source")
        .args(["-d", "-l", "4096", "-f", "updates@police.example", "-t", "p1@list.example"])
        .args(["-s", &sessions.to_string(), "-m", &count.to_string(), &format!("inet:127.0.0.1:{port}")])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    count as f64 / start.elapsed().as_secs_f64()
}

/// What sends one message after the other over one connection, or one for each.
pub(crate) fn simple(runtime: &Runtime, port: u16, directory: &Path) -> [(&'static str, Option<f64>); 3] {
    [
        ("smtplib, one connection", Some(smtplib(port, 1000, directory))),
        ("lettre's pool as it comes", Some(lettre_pool(runtime, port, 100))),
        ("mailmerge", mailmerge(port, 300, directory)),
    ]
}

fn smtplib(port: u16, count: usize, directory: &Path) -> f64 {
    let script = format!(
        "import smtplib, time\nfrom email.message import EmailMessage\nstart = time.time()\nwith smtplib.SMTP('127.0.0.1', {port}) as s:\n \
         for n in range({count}):\n  m = EmailMessage(); m['From'] = 'updates@police.example'; m['To'] = f'p{{n}}@list.example'\n  \
         m['Subject'] = 'An update'; m.set_content('Dear Person,\\n' + 'x' * 70 * 55); s.send_message(m)\nprint({count} / (time.time() - start))\n"
    );
    let output = Command::new("python3").args(["-c", &script]).current_dir(directory).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn lettre_pool(runtime: &Runtime, port: u16, count: usize) -> f64 {
    let text = "x".repeat(70 * 55);
    runtime.block_on(async {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(port).build();
        let start = Instant::now();
        for nth in 0..count {
            let message = Message::builder()
                .from("updates@police.example".parse().unwrap())
                .to(format!("p{nth}@list.example").parse().unwrap())
                .subject("An update")
                .body(text.clone())
                .unwrap();
            transport.send(message).await.unwrap();
        }
        count as f64 / start.elapsed().as_secs_f64()
    })
}

/// None where it is not installed.
fn mailmerge(port: u16, count: usize, directory: &Path) -> Option<f64> {
    let directory = directory.join("mailmerge");
    std::fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
    let text = "x".repeat(70) + "\n";
    write(
        "mailmerge_template.txt",
        format!(
            "TO: {{{{email}}}}\nSUBJECT: An update\nFROM: updates@police.example\n\nDear {{{{name}}}},\n{}",
            text.repeat(55)
        ),
    );
    let rows: Vec<String> = (0..count).map(|nth| format!("p{nth}@list.example,Person {nth}\n")).collect();
    write("mailmerge_database.csv", format!("email,name\n{}", rows.concat()));
    write("mailmerge_server.conf", format!("[smtp_server]\nhost = 127.0.0.1\nport = {port}\n"));
    let start = Instant::now();
    let mut mailmerge = Command::new("mailmerge");
    mailmerge.args(["--no-dry-run", "--no-limit"]).current_dir(&directory).stdout(Stdio::null()).stderr(Stdio::null());
    let is_sent = mailmerge.status().is_ok_and(|status| status.success());
    is_sent.then(|| count as f64 / start.elapsed().as_secs_f64())
}
