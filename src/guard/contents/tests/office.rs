//! Documents that are zip archives.

use zip::unstable::write::FileOptionsExt as _;

use super::*;

const TYPES: (&str, &[u8]) = ("[Content_Types].xml", b"<Types/>");

fn document(name: &str, xml: &str) -> Vec<u8> {
    let body = ("word/body.xml", &b"<w:p><w:t>Hello</w:t></w:p>"[..]);
    zip(&[TYPES, body, (name, xml.as_bytes())])
}

#[test]
fn an_address_in_any_part_of_a_document_is_found() {
    for (name, xml) in [
        (
            "word/document.xml",
            "<w:p><w:r><w:t>ada@</w:t></w:r><w:proofErr/><w:r><w:t>one.</w:t></w:r><w:t>example</w:t></w:p>",
        ),
        ("word/document.xml", "<w:p><w:t>ada@</w:t><w:p><w:t>a box</w:t></w:p><w:t>one.example</w:t></w:p>"),
        (
            "word/document.xml",
            "<w:p><w:ins><w:t>bo</w:t></w:ins><w:del><w:delText>ada</w:delText></w:del><w:t>@one.example</w:t></w:p>",
        ),
        (
            "word/document.xml",
            "<w:instrText>HYPERLINK \"mailto:ada@</w:instrText><w:instrText>one.example\"</w:instrText>",
        ),
        ("word/header1.xml", "<w:p><w:t>ada&#64;one.example</w:t></w:p>"),
        ("word/comments.xml", "<w:comment w:author=\"ada@one.example\"/>"),
        ("word/_rels/document.xml.rels", "<Relationship Target=\"mailto:ada@one.example\"/>"),
        ("docProps/core.xml", "<dc:creator>ada@one.example</dc:creator><cp:x>Bo</cp:x>"),
        ("customXml/item1.xml", "<root><e>ada@one.example</e><f>1</f></root>"),
        (
            "ppt/slides/slide3.xml",
            "<p:sld show=\"0\"><a:p><a:r><a:t>ada</a:t></a:r><a:r><a:t>@one.example</a:t></a:r></a:p></p:sld>",
        ),
        ("ppt/notesSlides/notesSlide1.xml", "<a:p><a:t>ada@one.example</a:t></a:p>"),
        ("xl/sharedStrings.xml", "<si><r><t>ada@</t></r><r><t>one.example</t></r></si><si><t>x</t></si>"),
        ("xl/worksheets/sheet2.xml", "<c t=\"inlineStr\"><is><t>ada@one.example</t></is></c><c><v>1</v></c>"),
        ("xl/pivotCache/pivotCacheRecords1.xml", "<r><s v=\"ada@one.example\"/></r>"),
        ("xl/comments1.xml", "<comment><text><r><t>ada@</t></r><r><t>one.example</t></r></text></comment>"),
        (
            "content.xml",
            "<text:p>ada@<office:annotation><text:p>no</text:p></office:annotation>one<text:span>.example</text:span></text:p>",
        ),
        ("content.xml", "<table:table-cell office:string-value=\"ada@one.example\"/>"),
        ("meta.xml", "<!-- ada@one.example -->"),
        ("OEBPS/one.xhtml", "<html><p>ada@<i>one</i>.example</p></html>"),
    ] {
        holds("a.docx", &document(name, xml), "ada@one.example");
    }
    holds("a.docx", &document("xl/pivot.xml", "<n v=\"441632\"/>"), "441632");
    let inner = document("word/document.xml", "<w:t>ada@one.example</w:t>");
    holds("a.pptx", &zip(&[TYPES, ("ppt/embeddings/a.docx", &inner)]), "ada@one.example");
}

#[test]
fn workbooks_are_searched_as_excel_writes_them() {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write(0, 0, "ada@one.example").unwrap().write(0, 1, 441_632_960_123_f64).unwrap();
    sheet.write_url(1, 0, "mailto:bo@two.example").unwrap();
    book.add_worksheet().set_hidden(true).write(0, 0, "cy@three.example").unwrap();
    let bytes = book.save_to_buffer().unwrap();
    for wanted in ["ada@one.example\n", "bo@two.example", "cy@three.example\n", "441632960123"] {
        holds("a.xlsx", &bytes, wanted);
    }
}

#[test]
fn cells_and_paragraphs_are_not_joined() {
    let xml = "<row><c><v>ada@</v></c><c><v>one.example</v></c></row><w:p><w:t>bo@</w:t></w:p><w:p>two.example</w:p>\
        <w:p>cy@<w:br/>three.example di@<w:tab/>four.example</w:p><w:p w:rsidR=\"00441632\" w:w=\"4416\"/>";
    let (out, found) = all("a.docx", &document("word/more.xml", xml));
    assert_eq!(found, Ok(()));
    for unwanted in ["ada@one", "bo@two", "cy@three", "di@four", "4416"] {
        assert!(!out.contains(unwanted), "{unwanted}: {out}");
    }
}

#[test]
fn pictures_are_opaque_where_there_is_nothing_else() {
    let png = &b"\x89PNG\r\n\x1a\n\0ada@one.example\0"[..];
    let with = |text: &[u8]| zip(&[TYPES, ("word/document.xml", text), ("word/media/image1.png", png)]);
    holds("a.docx", &with(b"<w:p><w:t>Hello</w:t></w:p>"), "ada@one.example");
    is_opaque("a.docx", &with(b"<w:p><w:drawing/></w:p>"), "it is a picture");
    is_opaque(
        "a.zip",
        &zip(&[("a.png", png), ("b.txt", b"x")]),
        "\"a.png\" in it cannot be looked into: it is a picture",
    );
}

#[test]
fn archives_are_searched_with_their_names() {
    let inner = zip(&[("b.txt", b"ada@one.example")]);
    holds("a.zip", &zip(&[("in.zip", &inner)]), "[in.zip › b.txt] ada@one.example");
    holds("a", &zip(&[("letters/ada@one.example.txt", b"x")]), "ada@one.example");
    holds("a.zip", &zip(&[("dir/", b""), ("empty.txt", b"")]), "dir/");
}

#[test]
fn what_is_locked_is_opaque() {
    let locked = SimpleFileOptions::default().with_deprecated_encryption(b"secret");
    if let Ok(locked) = locked {
        let bytes = zip_with(&[("a.txt", b"x")], locked);
        is_opaque("a.zip", &bytes, "\"a.txt\" in it cannot be looked into: it asks for a password");
    }
    let manifest = b"<manifest:manifest><manifest:encryption-data/></manifest:manifest>";
    is_opaque("a.odt", &zip(&[("META-INF/manifest.xml", manifest)]), "it asks for a password");
    // A method that is not there: 99 instead of 8, in both places
    let mut odd = zip(&[("a.txt", b"x")]);
    odd[8] = 98;
    let central = odd.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    odd[central + 10] = 98;
    is_opaque(
        "a.zip",
        &odd,
        "\"a.txt\" in it cannot be looked into: it is packed in a way that cannot be unpacked here",
    );
    is_opaque("a.zip", b"PK\x03\x04 and no more", "it is damaged");
}

#[test]
fn no_bytes_make_it_stumble() {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let xml = b"<w:p a='b'><w:t>ada</w:t><!-- c --><![CDATA[d]]></w:p>";
    let bytes = zip_with(&[TYPES, ("word/document.xml", xml), ("a.zip", &zip(&[("b.txt", b"x")]))], stored);
    for seed in 0..tries() {
        all("a.docx", &mutated(&bytes, seed)).0.clear();
    }
}
