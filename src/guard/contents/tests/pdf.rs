//! PDF files, written by hand.

use super::*;

/// A PDF of objects, with a catalog that has the page 3.
fn pdf(objects: &[&str]) -> Vec<u8> {
    let mut pdf =
        String::from("%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Kids[3 0 R]/Count 1>>endobj\n");
    for object in objects {
        pdf.push_str(object);
        pdf.push_str(" endobj\n");
    }
    pdf.push_str("trailer<</Root 1 0 R>>\n%%EOF\n");
    pdf.into_bytes()
}

const PAGE: &str = "3 0 obj<</Type/Page/Contents 4 0 R/Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>>>";
const HELVETICA: &str = "5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>";

fn stream(number: u32, dict: &str, data: &str) -> String {
    format!("{number} 0 obj<<{dict}/Length {}>>stream\n{data}\nendstream", data.len())
}

/// A page that is drawn like this, with a font.
fn drawn_with(content: &str, font: &str, more: &[&str]) -> Vec<u8> {
    let content = stream(4, "", &format!("BT /F 10 Tf {content} ET"));
    let objects: Vec<&str> = [PAGE, &content, font].into_iter().chain(more.iter().copied()).collect();
    pdf(&objects)
}

fn drawn(content: &str) -> Vec<u8> {
    drawn_with(content, HELVETICA, &[])
}

#[test]
fn an_address_on_a_page_is_found_however_it_is_drawn() {
    for content in [
        "(ada@one.example) Tj",
        "<616461406f6e652e6578616d706c65> pop <616461406f6e652e6578616d706c65>Tj",
        "[(ada@)-20(one.)15.5(exa)-80(mple)]TJ",
        "(ada@) Tj (one.example) Tj",
        "12 TL (x) Tj (ada@one.example) '",
        "(x) Tj 1 0 (ada@one.example) \"",
        "1 0 0 1 50 700 Tm (ada@) Tj 1 0 0 1 77.41 700 Tm (one.example) Tj",
        "0 1 -1 0 50 700 Tm (ada@) Tj 0 1 -1 0 50 727.41 Tm (one.example) Tj",
        "50 700 Td (a)Tj 5.56 0 Td (d)Tj 5.56 0 Td (a)Tj 5.56 0 Td (@)Tj 10.15 0 Td (one.example)Tj",
        "q 2 0 0 2 0 0 cm (ada@) Tj Q (x) Tj q 2 0 0 2 0 0 cm (ada@one.example) Tj Q",
        "(a\\144a\\100one.exam\\\nple) Tj",
        "3 Tr (ada@one.example) Tj",
        "/Span <</ActualText (ada@one.example)>> BDC (x) Tj EMC",
        "(x) Tj BI /W 1 /H 1 ID \0EI\0 EI (ada@one.example) Tj",
        "(mail:) Tj 20 0 Td (ada@one.example) Tj 0 -12 Td (x) Tj",
        "[(mail)-300(ada@one.example)-300(x)]TJ",
        "/No 10 Tf (ada@one.example) Tj",
        "3 Tc (ada@one.example) Tj",
        "[(a)-300(d)-300(a)-300(@)-300(o)-300(n)-300(e)-300(.)-300(e)-300(x)-300(a)-300(m)-300(p)-300(l)-300(e)]TJ",
    ] {
        holds("a.pdf", &drawn(content), "ada@one.example");
    }
    let (out, _) = all("a.pdf", &drawn("[(mail)-300(ada@one.example)-300(x)]TJ 0 -12 Td (next) Tj 3 0 Td (high) Tj"));
    assert!(out.contains("[page 1] mail ada@one.example x\nnext\nhigh\n"), "{out}");
    // A mark for a note stands higher.
    holds("a.pdf", &drawn("(ada@one.example) Tj 4 Ts /F 6 Tf (1) Tj"), "ada@one.example 1");
}

#[test]
fn fonts_say_what_their_codes_are() {
    let codes = |font: &str, more: &[&str], content: &str| drawn_with(content, font, more);
    let differences =
        "5 0 obj<</Subtype/Type1/Encoding<</Differences[1/a/d/at/o/n/e/period/x/m/p/l 65/uni0040/f_i/fi/eacute]>>>>";
    holds("a.pdf", &codes(differences, &[], "<0102010304050607060801090a0b06>Tj"), "ada@one.example");
    holds("a.pdf", &codes(differences, &[], "(ABCD)Tj"), "@fifié");
    let map = "1 begincodespacerange <0000> <ffff> endcodespacerange 1 beginbfrange <0003> <0005> <0061> endbfrange \
        2 beginbfchar <0010> <0040> <0011> <006f006e0065> endbfchar";
    let unicode = stream(7, "", map);
    let composite = "5 0 obj<</Subtype/Type0/Encoding/Identity-H/ToUnicode 7 0 R/DescendantFonts[8 0 R]>>";
    let widths = "8 0 obj<</Subtype/CIDFontType2/DW 500/W[16[1000]]>>";
    holds("a.pdf", &codes(composite, &[&unicode, widths], "<000300100011>Tj"), "a@one");
    holds("a.pdf", &codes(composite, &[&unicode, widths], "0 0 Td <00030010>Tj 15 0 Td <0011>Tj"), "a@one");
    holds("a.pdf", &codes("5 0 obj<</Subtype/Type0/Encoding/UniJIS-UTF16-H>>", &[], "<65e50061>Tj"), "日a");
    holds("a.pdf", &codes("5 0 obj<</Subtype/Type0/Encoding/90ms-RKSJ-H>>", &[], "<93fa61>Tj"), "日a");
    let program = stream(7, "/Length1 70", "/Encoding 256 array dup 1 /a put dup 2 /at put dup 3 /b put eexec \u{1}");
    let own = "5 0 obj<</Subtype/Type1/FontDescriptor<</FontFile 7 0 R>>>>";
    holds("a.pdf", &codes(own, &[&program], "<010203>Tj"), "a@b");
    holds("a.pdf", &codes("5 0 obj<</Subtype/TrueType/Encoding/MacRomanEncoding>>", &[], "<8e>Tj"), "é");
    let silent = "5 0 obj<</Subtype/Type0/Encoding/Identity-H>>";
    let why = "page 1: a font does not say which letters it draws";
    is_opaque("a.pdf", &codes(silent, &[], "<000100020003000400050006>Tj"), why);
    // A few signs are not enough to hide an address.
    holds("a.pdf", &codes(silent, &[], "<000100020003>Tj"), "\u{fffd}");
}

#[test]
fn what_is_beside_the_pages_is_found() {
    let utf16 = "<feff006100640061004000f6>";
    for (object, wanted) in [
        ("9 0 obj<</Subtype/Link/A<</URI(mailto:ada@one.example)>>>>", "ada@one.example"),
        ("9 0 obj<</Subtype/Text/Contents(ada@one.example)>>", "ada@one.example"),
        ("9 0 obj<</Title(x)/Author(ada@one.example)>>", "ada@one.example"),
        (&format!("9 0 obj<</FT/Tx/V {utf16}>>"), "ada@ö"),
        (
            &stream(
                9,
                "/Type/Metadata/Subtype/XML",
                "<?xpacket?><dc:creator><rdf:li>ada@one.example</rdf:li></dc:creator>",
            ),
            "ada@one.example\n",
        ),
        (&stream(9, "", "app.mailMsg('ada@one.example')"), "ada@one.example"),
        (
            &stream(9, "/Subtype/Form/Resources<</Font<</F 5 0 R>>>>", "BT /F 10 Tf (ada@) Tj (one.example) Tj ET"),
            "ada@one.example",
        ),
        (
            &format!("8 0 obj<</F(a.csv)/UF(ü.csv)/EF<</F 9 0 R>>>>endobj {}", stream(9, "", "ada@one.example")),
            "[ü.csv] ada@one.example",
        ),
        (&stream(9, "/Subtype/Image/Filter/DCTDecode", "\u{1}ada@one.example\u{1}"), "ada@one.example"),
    ] {
        holds("a.pdf", &drawn_with("(x) Tj", HELVETICA, &[object]), wanted);
    }
    let form = stream(6, "/Subtype/Form", "BT /F 10 Tf (ada@one.example) Tj ET");
    holds("a.pdf", &drawn_with("/X Do", HELVETICA, &[&form]), "[page 1] ada@one.example");
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).chain(['>']).collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn streams_and_objects_are_unpacked() {
    let text = "BT /F 10 Tf (ada@one.example) Tj ET";
    let flate = hex(&packed(text.as_bytes()));
    let twice = stream(4, "/Filter[/ASCIIHexDecode/FlateDecode]", &flate);
    holds("a.pdf", &pdf(&[PAGE, &twice, HELVETICA]), "ada@one.example");
    // A length in another object, one that is wrong, and one that is missing
    for dict in ["/Length 9 0 R", "/Length 3", "/Length 99999", ""] {
        let content = format!("4 0 obj<<{dict}>>stream\r\n{text}\nendstream");
        holds("a.pdf", &pdf(&[PAGE, &content, HELVETICA, "9 0 obj 34"]), "ada@one.example");
    }
    let objects = [(3, PAGE), (5, HELVETICA)].map(|(number, object)| (number, object.split_once("obj").unwrap().1));
    let head = format!("3 0 5 {} ", objects[0].1.len());
    let body = format!("{head}{}{}", objects[0].1, objects[1].1);
    let dict = format!("/Type/ObjStm/N 2/First {}/Filter[/ASCIIHexDecode/FlateDecode]", head.len());
    let packed_objects = stream(9, &dict, &hex(&packed(body.as_bytes())));
    let cross = stream(10, "/Type/XRef/Root 1 0 R", "x");
    holds("a.pdf", &pdf(&[&stream(4, "", text), &packed_objects, &cross]), "[page 1] ada@one.example");
    // Cut short: what is there is searched.
    let whole = drawn("(ada@one.example) Tj");
    let end = whole.windows(2).position(|window| window == b"ET").unwrap();
    let (out, _) = all("a.pdf", &whole[..end]);
    assert!(out.contains("ada@one.example"), "{out}");
}

#[test]
fn former_versions_are_searched() {
    let mut changed = drawn("(ada@one.example) Tj");
    changed.extend_from_slice(stream(4, "", "BT /F 10 Tf (nobody, and a long text after it) Tj ET").as_bytes());
    changed.extend_from_slice(b"endobj trailer<</Root 1 0 R>> %%EOF");
    holds("a.pdf", &changed, "ada@one.example");
    holds("a.pdf", &changed, "nobody");
}

#[test]
fn pictures_and_locked_files_are_opaque() {
    let image = stream(6, "/Subtype/Image/Filter/DCTDecode", "x");
    let why = "page 1 is a picture";
    is_opaque("a.pdf", &drawn_with("/X Do", HELVETICA, &[&image]), why);
    is_opaque("a.pdf", &drawn(&"1 2 3 4 5 6 c ".repeat(200)), why);
    holds("a.pdf", &drawn_with("/X Do (x) Tj", HELVETICA, &[&image]), "x");
    holds("a.pdf", &drawn(""), "");
    let mut locked = drawn("(x) Tj");
    locked.extend_from_slice(b"trailer<</Encrypt 99 0 R>>endobj 99 0 obj<</Filter/Standard>>endobj");
    is_opaque("a.pdf", &locked, "it asks for a password");
    is_opaque("a.pdf", b"%PDF-1.7 and nothing more", "it is damaged");
    let inner = format!("8 0 obj<</F(a.rar)/EF<</F 9 0 R>>>>endobj {}", stream(9, "", "Rar!\x1a\x07\0"));
    let why = "\"a.rar\" in it cannot be looked into: it is a RAR archive";
    is_opaque("a.pdf", &drawn_with("(x) Tj", HELVETICA, &[&inner]), why);
}

#[test]
fn harmless_files_give_no_false_text() {
    let lines = "50 700 Td (ada@) Tj 0 -12 Td (one.example) Tj 200 12 Td (bo@) Tj 60 0 Td (two.example) Tj";
    let (out, found) = all("a.pdf", &drawn(lines));
    assert_eq!(found, Ok(()));
    assert_eq!(out, "[page 1] ada@\none.example\nbo@ two.example\n");
}

#[test]
fn no_bytes_make_it_stumble() {
    let map = stream(7, "", "1 beginbfrange <0003> <0005> <0061> endbfrange");
    let font = "5 0 obj<</Subtype/Type0/Encoding/Identity-H/ToUnicode 7 0 R/DescendantFonts[<</W[1 3 500]>>]>>";
    let form = stream(6, "/Subtype/Form/Matrix[1 0 0 1 2 3]/Filter/ASCII85Decode", "87cURD]i,\"Ebo80~>");
    let predicted = "/Filter[/AHx/Fl]/DecodeParms[null<</Predictor 12/Columns 4>>]";
    let more = stream(9, predicted, &hex(&packed(b"\x02abcd\x02efgh")));
    let lzw = stream(10, "/Filter[/AHx/LZW/RL]", "800B6050220C0C8501>");
    let file = format!("8 0 obj<</F(a.csv)/EF<</F 11 0 R>>>>endobj {}", stream(11, "", "a@b"));
    let bytes = drawn_with("[<0003>-20<0004>]TJ /X Do 1 0 0 1 2 3 Tm T*", font, &[&map, &form, &more, &lzw, &file]);
    assert_eq!(all("a.pdf", &bytes).1, Ok(()));
    for seed in 0..tries() {
        all("a.pdf", &mutated(&bytes, seed)).0.clear();
    }
}
