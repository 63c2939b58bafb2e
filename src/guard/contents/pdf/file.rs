//! All objects of a file.

use std::collections::HashMap;

use super::{
    super::{Opaque, Walk},
    filters,
    object::{Dict, Lexer, Object, is_white, says},
};

/// Objects, the numbers and names in them counted, of which a file may have so many.
const MOST_OBJECTS: usize = 2_000_000;

/// Objects that end nowhere; each costs a look through the whole file.
const MOST_UNREADABLE: usize = 50;

/// References to references.
const MOST_STEPS: usize = 8;

/// The objects of a PDF by their numbers, the last one of each number.
pub(super) struct File<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) objects: HashMap<u32, Object>,
    /// Where in the file each of them, or the stream that it is packed in, stands.
    places: HashMap<u32, usize>,
    /// Whether objects were replaced by later ones.
    pub(super) was_changed: bool,
    /// Whether there are objects that could not be read.
    pub(super) damaged: bool,
    /// The dictionaries at the ends of the versions, the last one last.
    trailers: Vec<Dict>,
}

impl<'b> File<'b> {
    pub(super) fn read(walk: &mut Walk<'_>, bytes: &'b [u8]) -> Result<Self, Opaque> {
        let (objects, places, trailers) = (HashMap::new(), HashMap::new(), Vec::new());
        let mut file = Self { bytes, objects, places, was_changed: false, damaged: false, trailers };
        let ends: Vec<usize> = find_all(bytes, b"endstream");
        let mut lexer = Lexer::new(bytes, 0, MOST_OBJECTS);
        let mut unreadable = 0;
        let mut packed: Vec<(usize, Dict, &[u8])> = Vec::new();
        let mut at = 0;
        while let Some(found) = next_mark(bytes, at) {
            at = found.after();
            lexer.at = at;
            let Some(object) = lexer.next_with_references() else {
                if lexer.left == 0 {
                    return Err(Opaque::Damaged);
                }
                unreadable += 1;
                file.damaged = true;
                if unreadable > MOST_UNREADABLE {
                    break;
                }
                continue;
            };
            at = lexer.at.max(at);
            match (found, object) {
                (Mark::Trailer(_), Object::Dict(dict)) => file.trailers.push(dict),
                (Mark::Object { number, .. }, Object::Dict(dict)) => {
                    let Some((start, end, after)) = stream(&mut lexer, &dict, &ends) else {
                        file.add(number, at, Object::Dict(dict));
                        continue;
                    };
                    at = after;
                    if says(&dict, "Type", "XRef") {
                        file.trailers.push(dict);
                    } else if says(&dict, "Type", "ObjStm") {
                        // How it is packed may be said in an object that comes later.
                        packed.push((start, dict, &bytes[start..end]));
                    } else {
                        file.add(number, start, Object::Stream(dict, start..end));
                    }
                }
                (Mark::Object { number, .. }, object) => file.add(number, at, object),
                (Mark::Trailer(_), _) => {}
            }
        }
        for (place, dict, data) in packed {
            file.packed_objects(walk, place, &dict, data, &mut lexer.left)?;
        }
        Ok(file)
    }

    /// What comes later in the file replaces what comes earlier.
    fn add(&mut self, number: u32, place: usize, object: Object) {
        if let Some(known) = self.objects.get(&number) {
            self.was_changed |= *known != object;
            if self.places.get(&number).is_some_and(|known| *known > place) {
                return;
            }
        }
        self.places.insert(number, place);
        self.objects.insert(number, object);
    }

    /// §7.5.7: pairs of numbers and places, then the objects.
    fn packed_objects(
        &mut self,
        walk: &mut Walk<'_>,
        place: usize,
        dict: &Dict,
        data: &[u8],
        left: &mut usize,
    ) -> Result<(), Opaque> {
        // If the file is encrypted, this cannot be read and need not be.
        let Some(bytes) = filters::decode(walk, self, dict, data)? else { return Ok(()) };
        let count = self.get(dict, "N").and_then(Object::whole).unwrap_or(0);
        let first = self.get(dict, "First").and_then(Object::whole).unwrap_or(0);
        let mut head = Lexer::new(&bytes, 0, *left);
        for _ in 0..count {
            let pair = (head.next().and_then(|number| number.whole()), head.next().and_then(|at| at.whole()));
            let (Some(number), Some(at)) = pair else { break };
            let mut body = Lexer::new(&bytes, first.saturating_add(at), head.left);
            match (u32::try_from(number), body.next_with_references()) {
                (Ok(number), Some(object)) => self.add(number, place, object),
                _ => self.damaged = true,
            }
            head.left = body.left;
            if head.left == 0 {
                return Err(Opaque::Damaged);
            }
        }
        *left = head.left;
        Ok(())
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.trailers.iter().any(|trailer| self.get(trailer, "Encrypt").is_some_and(|value| *value != Object::Null))
    }

    /// What an object refers to, or itself.
    pub(super) fn resolve<'f>(&'f self, mut object: &'f Object) -> &'f Object {
        for _ in 0..MOST_STEPS {
            let Object::Reference(number) = object else { return object };
            object = self.objects.get(number).unwrap_or(&Object::Null);
        }
        &Object::Null
    }

    /// The entry of a dictionary, unless it is null.
    pub(super) fn get<'f>(&'f self, dict: &'f Dict, key: &str) -> Option<&'f Object> {
        Some(self.resolve(dict.get(key)?)).filter(|value| **value != Object::Null)
    }

    /// The dictionary at the root of the document.
    pub(super) fn catalog(&self) -> Option<&Dict> {
        let named = self.trailers.iter().rev().find_map(|trailer| self.get(trailer, "Root")?.dict());
        let any = || self.objects.values().filter_map(Object::dict).find(|dict| says(dict, "Type", "Catalog"));
        named.or_else(any)
    }

    /// The bytes of a stream as they are meant; `None` for a picture's, and for what is no stream.
    pub(super) fn decode(&self, walk: &mut Walk<'_>, object: &Object) -> Result<Option<Vec<u8>>, Opaque> {
        let Object::Stream(dict, range) = object else { return Ok(None) };
        filters::decode(walk, self, dict, &self.bytes[range.clone()])
    }
}

/// Where something is defined.
enum Mark {
    /// `12 0 obj`, with the place after it
    Object { number: u32, after: usize },
    /// `trailer`, likewise
    Trailer(usize),
}

impl Mark {
    fn after(&self) -> usize {
        let (Self::Object { after, .. } | Self::Trailer(after)) = self;
        *after
    }
}

fn next_mark(bytes: &[u8], from: usize) -> Option<Mark> {
    let mut at = from;
    loop {
        // Nothing else in a file has both letters as often as these words do.
        at += bytes.get(at..)?.iter().position(|byte| matches!(byte, b'o' | b't'))?;
        let rest = &bytes[at..];
        if rest.starts_with(b"obj") {
            if let Some(number) = number_before(&bytes[from..at]) {
                return Some(Mark::Object { number, after: at + 3 });
            }
        } else if rest.starts_with(b"trailer") {
            return Some(Mark::Trailer(at + 7));
        }
        at += 1;
    }
}

/// The 12 of `12 0 `.
fn number_before(bytes: &[u8]) -> Option<u32> {
    let digits = |bytes: &[u8]| bytes.iter().rev().take(11).take_while(|byte| byte.is_ascii_digit()).count();
    let white = |bytes: &[u8]| bytes.iter().rev().take(20).take_while(|byte| is_white(**byte)).count();
    let bytes = &bytes[..bytes.len() - white(bytes)];
    let generation = digits(bytes);
    let bytes = &bytes[..bytes.len() - generation];
    let between = white(bytes);
    let bytes = &bytes[..bytes.len() - between];
    let number = &bytes[bytes.len() - digits(bytes)..];
    if generation == 0 || between == 0 {
        return None;
    }
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Where the bytes of a stream begin and end, if one follows, and where the file goes on.
fn stream(lexer: &mut Lexer<'_>, dict: &Dict, ends: &[usize]) -> Option<(usize, usize, usize)> {
    lexer.skip_white();
    let bytes = lexer.bytes;
    if !bytes[lexer.at..].starts_with(b"stream") {
        return None;
    }
    let start = lexer.at + 6;
    let start = match bytes.get(start..) {
        Some([b'\r', b'\n', ..]) => start + 2,
        Some([b'\r' | b'\n', ..]) => start + 1,
        _ => start,
    };
    // Its length is said, unless it is said in another object. The next `endstream` is nearly always the right one.
    let said = dict.get("Length").and_then(Object::whole).and_then(|length| start.checked_add(length));
    let fits = |end: &usize| {
        let white = bytes.get(*end..).map_or(0, |rest| rest.iter().take(3).take_while(|byte| is_white(**byte)).count());
        bytes.get(*end + white..).is_some_and(|rest| rest.starts_with(b"endstream") || rest.starts_with(b"endobj"))
    };
    let end = said.filter(fits).unwrap_or_else(|| {
        let nth = ends.partition_point(|end| *end < start);
        ends.get(nth).copied().unwrap_or(bytes.len())
    });
    Some((start, end, end))
}

fn find_all(bytes: &[u8], word: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(step) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == word[0])) {
        at += step;
        if bytes[at..].starts_with(word) {
            found.push(at);
        }
        at += 1;
    }
    found
}
