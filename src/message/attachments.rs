//! The files that go with messages: read, looked at, and packed (RFC 2045, RFC 2183).

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use lettre::message::{
    Body, SinglePart,
    header::{ContentId, ContentTransferEncoding, Header, HeaderName, HeaderValue},
};
use sha2::{Digest as _, Sha256};

use super::headers;
use crate::{
    diagnostic::visible,
    template::{AttachedFile, FileProblem, Found, Template},
};

/// What mail programs and providers refuse in a message, whoever sends it.
const BLOCKED: &[&str] = &[
    "ade", "adp", "apk", "appx", "bat", "cab", "chm", "cmd", "com", "cpl", "diagcab", "dll", "dmg", "exe", "hta",
    "ins", "isp", "iso", "jar", "js", "jse", "lib", "lnk", "mde", "msc", "msi", "msix", "msp", "mst", "nsh", "pif",
    "ps1", "reg", "scr", "sct", "shb", "sys", "vb", "vbe", "vbs", "vhd", "vxd", "wsc", "wsf", "wsh", "xll",
];

/// Endings of names, what a file with one is, and what it begins with.
type Beginning = (&'static [&'static str], &'static str, &'static [&'static [u8]]);

/// Files that can be told by their first bytes.
const KINDS: &[Beginning] = &[
    (&["pdf"], "PDF", &[b"%PDF-"]),
    (&["png"], "PNG picture", &[b"\x89PNG\r\n\x1a\n"]),
    (&["jpg", "jpeg"], "JPEG picture", &[b"\xff\xd8\xff"]),
    (&["gif"], "GIF picture", &[b"GIF87a", b"GIF89a"]),
    (&["zip"], "ZIP archive", &[b"PK\x03\x04", b"PK\x05\x06"]),
    // One that asks for a password is no archive any more.
    (
        &["docx", "xlsx", "pptx", "docm", "xlsm", "odt", "ods", "odp"],
        "office document",
        &[b"PK\x03\x04", b"\xd0\xcf\x11\xe0"],
    ),
    (&["doc", "xls", "ppt"], "office document", &[b"\xd0\xcf\x11\xe0", b"{\\rtf", b"PK\x03\x04"]),
    (&["rtf"], "RTF document", &[b"{\\rtf"]),
];

/// A PDF may begin behind some other bytes (ISO 32000-1 Annex H.3.4.1).
const PDF_WITHIN: usize = 1024;

/// A file as it goes into a message.
#[derive(Debug)]
pub(super) struct Packed {
    /// In base64, with line ends
    base64: Vec<u8>,
    /// Content-Type without the name
    kind: String,
    /// SHA-256 of the file
    pub(super) digest: [u8; 32],
}

/// The files of a campaign. Those that go to everybody are read once.
#[derive(Debug, Default)]
pub(super) struct Files {
    shared: Mutex<HashMap<String, Arc<Packed>>>,
    /// What is never sent: the list, the template, the settings
    ours: Vec<PathBuf>,
}

impl Files {
    /// The file, which may have at most `most` bytes.
    pub(super) fn get(&self, template: &Template, file: &AttachedFile, most: u64) -> Result<Arc<Packed>, FileProblem> {
        let known = || self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if !file.personal
            && let Some(packed) = known().get(&file.path)
        {
            return Ok(Arc::clone(packed));
        }
        let found = template.find_file(&file.path)?;
        if found.on_disk().is_some_and(|path| self.is_ours(path)) {
            return Err(FileProblem::Ours(file.path.clone()));
        }
        let packed = Arc::new(Packed::read(found, file, most)?);
        if !file.personal {
            known().insert(file.path.clone(), Arc::clone(&packed));
        }
        Ok(packed)
    }
}

impl Files {
    /// That never sends some files.
    pub(super) fn without(paths: &[&Path]) -> Self {
        let ours = paths.iter().filter_map(|path| path.canonicalize().ok()).collect();
        Self { ours, ..Self::default() }
    }

    fn is_ours(&self, path: &Path) -> bool {
        let is_template = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("hbs"));
        is_template || path.canonicalize().is_ok_and(|path| self.ours.contains(&path))
    }

    /// The files that went to somebody without being that person's own, with the SHA-256 of each.
    pub(super) fn shared(&self) -> Vec<(String, [u8; 32])> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.iter().map(|(path, packed)| (path.clone(), packed.digest)).collect()
    }
}

impl Packed {
    fn read(found: Found, file: &AttachedFile, most: u64) -> Result<Self, FileProblem> {
        let path = || file.path.clone();
        let size = found.size();
        if size > most {
            return Err(FileProblem::TooLarge { path: path(), size, most });
        }
        let bytes = found.read(most).map_err(|why| FileProblem::unreadable(&file.path, &why))?;
        let kind = kind(&file.path, &bytes)?;
        // Most mail programs show no SVG.
        if file.content_id.is_some() && (!kind.starts_with("image/") || kind.starts_with("image/svg")) {
            return Err(FileProblem::NoPicture(path()));
        }
        let digest = Sha256::digest(&bytes).into();
        // 7 and 8 bit would be ruined by servers that convert line ends.
        let body = Body::new_with_encoding(bytes, ContentTransferEncoding::Base64)
            .map_err(|_| FileProblem::Unreadable { path: path(), why: "it cannot be written in base64".into() })?;
        Ok(Self { base64: body.into_vec(), kind, digest })
    }

    /// As a part of a message.
    pub(super) fn part(&self, file: &AttachedFile, name: &str) -> SinglePart {
        let disposition = if file.content_id.is_some() { "inline" } else { "attachment" };
        let part = SinglePart::builder()
            .header(ContentType(headers::content_type(&self.kind, name)))
            .header(Disposition(headers::disposition(disposition, name)));
        let body = Body::dangerous_pre_encoded(self.base64.clone(), ContentTransferEncoding::Base64);
        match &file.content_id {
            Some(id) => part.header(ContentId::from(format!("<{id}>"))).body(body),
            None => part.body(body),
        }
    }
}

/// The name that a mail program shows.
pub(super) fn shown_name(file: &AttachedFile) -> Result<String, FileProblem> {
    let own = || file.path.rsplit('/').next().unwrap_or_default().to_owned();
    let name = file.name.clone().unwrap_or_else(own);
    // What cannot be seen could make an .exe look like a .pdf.
    let fits = name.chars().count() <= 200 && !name.contains(['/', '\\']) && visible(&name) == name;
    let ending = |name: &str| Path::new(name).extension().map(|ending| ending.to_string_lossy().to_lowercase());
    if !fits || name.contains(['\n', '\t']) {
        Err(FileProblem::Name(name))
    } else if ending(&name) != ending(&file.path) {
        Err(FileProblem::Ending { path: file.path.clone(), name })
    } else {
        Ok(name)
    }
}

/// The media type, after a look at what the file is.
fn kind(path: &str, bytes: &[u8]) -> Result<String, FileProblem> {
    let ending = Path::new(path).extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    if bytes.is_empty() {
        return Err(FileProblem::Empty(path.to_owned()));
    }
    if BLOCKED.contains(&ending.as_str()) {
        return Err(FileProblem::Blocked { path: path.to_owned(), ending });
    }
    if let Some((_, kind, beginnings)) = KINDS.iter().find(|(endings, ..)| endings.contains(&ending.as_str())) {
        let start = &bytes[..bytes.len().min(PDF_WITHIN)];
        let fits = |beginning: &&[u8]| bytes.starts_with(beginning);
        let late = *kind == "PDF" && start.windows(5).any(|window| window == b"%PDF-");
        if !beginnings.iter().any(fits) && !late {
            let begins = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]).into_owned();
            return Err(FileProblem::Kind { path: path.to_owned(), kind, begins });
        }
    }
    let guessed = mime_guess::from_path(path).first_or_octet_stream();
    Ok(match guessed.type_().as_str() {
        // These must not be in base64 (RFC 2046 §5.2.1).
        "message" | "multipart" => "application/octet-stream".into(),
        "text" if std::str::from_utf8(bytes).is_ok() => format!("{}; charset=utf-8", guessed.essence_str()),
        _ => guessed.essence_str().to_owned(),
    })
}

/// Headers whose values are finished: lettre's own know no encoded words, and take a name that looks like one for one.
macro_rules! finished {
    ($type:ident, $name:literal) => {
        #[derive(Clone)]
        struct $type(String);

        impl Header for $type {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($name)
            }

            fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(text.to_owned()))
            }

            fn display(&self) -> HeaderValue {
                HeaderValue::dangerous_new_pre_encoded(Self::name(), self.0.clone(), self.0.clone())
            }
        }
    };
}

finished!(ContentType, "Content-Type");
finished!(Disposition, "Content-Disposition");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_name_says() {
        assert_eq!(kind("a.pdf", b"%PDF-1.7\n").as_deref(), Ok("application/pdf"));
        assert_eq!(kind("a.PDF", b"\n\n%PDF-1.7\n").as_deref(), Ok("application/pdf"));
        assert_eq!(kind("a.csv", "ü".as_bytes()).as_deref(), Ok("text/csv; charset=utf-8"));
        assert_eq!(kind("a.csv", b"\xfc").as_deref(), Ok("text/csv"));
        assert_eq!(kind("a.eml", b"x").as_deref(), Ok("application/octet-stream"));
        assert_eq!(kind("a", b"x").as_deref(), Ok("application/octet-stream"));
        assert_eq!(kind("a.ics", b"BEGIN:VCALENDAR").as_deref(), Ok("text/calendar; charset=utf-8"));
        for (path, bytes) in
            [("a.pdf", &b"<html>"[..]), ("b.png", b"\xff\xd8\xff"), ("c.docx", b"%PDF-"), ("d.zip", b"x")]
        {
            assert!(matches!(kind(path, bytes), Err(FileProblem::Kind { .. })), "{path}");
        }
        assert!(matches!(kind("a.exe", b"MZ"), Err(FileProblem::Blocked { .. })));
        assert!(matches!(kind("a.txt", b""), Err(FileProblem::Empty(_))));
    }
}
