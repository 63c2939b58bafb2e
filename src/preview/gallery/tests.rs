use super::*;
use crate::{
    campaign::ListOptions,
    template::{Format, Template},
};

const TEMPLATE: &str = "+++\nfrom = \"u@police.example\"\nsubject = \"For {{name}}\"\n+++\n{{#if note}}Note: {{note}}\n{{/if}}\nDear {{name}}\n";

fn gallery(list: &str) -> Gallery {
    let list = RecipientList::parse("p.csv", list, &ListOptions::default()).unwrap();
    let template = Template::compile("t.md.hbs", TEMPLATE, Format::Markdown, list.columns()).unwrap();
    let composer = Composer::new(template.into(), list.into());
    let guard = Guard::new(std::sync::Arc::clone(composer.list()), &[]);
    let facts = Facts { name: "<b>c</b>".into(), id: Some("3f9a12bc".into()), digest: Some("sha256:00".into()) };
    Gallery::new(facts, composer, guard)
}

fn ask(gallery: &Gallery, path: &str, query: &str) -> (u16, String) {
    let answer = gallery.answer(Route::of(path).as_ref(), &Trail::of(query), "/place/");
    (answer.status.as_u16(), String::from_utf8(answer.body).unwrap())
}

/// Whatever stands in a cell, a search or a name is text in each page.
#[test]
fn nothing_from_outside_is_markup_in_a_page() {
    let evil = "\"\"'><script>x</script><img src=x onerror=y>&amp;{{name}}";
    let list = format!("name,note,email\n\"{evil}\",\"{evil}\",ada@one.example\nBo,,bo@two.example\n");
    let gallery = gallery(&list);
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("q", "<script>x").finish();
    for path in ["", "ways", "message/2", "message/3", "message/9"] {
        for view in ["", "&view=text", "&view=headers", "&view=source", "&view=attachments", "&way=0", "&way=9"] {
            let (status, page) = ask(&gallery, path, &format!("{query}{view}"));
            assert_eq!(status, if path == "message/9" { 404 } else { 200 }, "{path} {view} {page}");
            assert_eq!(page.matches("<script>").count(), 1, "{path} {view}");
            assert!(page.contains("&lt;b&gt;c&lt;/b&gt;") && !page.contains("<b>c") && !page.contains("<img src=x"));
            assert!(!page.contains("&amp;amp;lt;"), "escaped once: {page}");
        }
    }
    assert!(ask(&gallery, "", &query).1.contains("value=\"&lt;script&gt;x\""));
    assert!(ask(&gallery, "message/2", "").1.contains("&amp;amp;{{name}}"), "a cell is no template");
}

#[test]
fn a_message_is_made_when_it_is_looked_at() {
    let gallery =
        gallery("name,note,email\nAda,x,ada@one.example\n,,bo@two.example\nCem,bo@two.example,cem@three.example\n");
    assert_eq!(gallery.seen(), 0);
    let (_, list) = ask(&gallery, "", "");
    assert!(list.contains("For Ada") && list.contains("This message cannot be made"), "{list}");
    assert_eq!(gallery.seen(), 0, "a list is not a message");
    let (status, page) = ask(&gallery, "message/3", "");
    assert!(status == 200 && page.contains("column name") && !page.contains("<iframe"), "{page}");
    let (_, page) = ask(&gallery, "message/4", "");
    assert!(page.contains("the address of row 3") && page.contains("<iframe class=\"desktop light\""), "{page}");
    let (_, page) = ask(&gallery, "message/4", "width=phone&scheme=dark&q=cem");
    assert!(page.contains("<iframe class=\"phone dark\"") && page.contains("1 of 1 found"), "{page}");
    assert_eq!(gallery.seen(), 2);
    assert_eq!(ask(&gallery, "message/3/frame", "").0, 404);
    assert!(ask(&gallery, "message/2/frame", "").1.contains("<base target=\"_blank\">"));
    assert_eq!(gallery.seen(), 3, "its frame alone is looked at, too");
    assert_eq!(ask(&gallery, "message/2/file/0", "").0, 404);
    assert_eq!(ask(&gallery, "message/3/message.eml", "").0, 404);
    assert!(ask(&gallery, "message/2/message.eml", "").1.starts_with("Date: "));
}

#[test]
fn pages_of_the_list_begin_and_end_where_it_does() {
    let list: Vec<String> = (2..103).map(|row| format!("Person {row},,p{row}@list.example")).collect();
    let gallery = gallery(&format!("name,note,email\n{}\n", list.join("\n")));
    for (query, said) in [
        ("", "1 to 50 of 101"),
        ("page=3", "101 to 101 of 101"),
        ("page=4", "101 to 101 of 101"),
        ("page=0", "1 to 50 of 101"),
        ("q=p101", "1 to 1 of 1 "),
        ("q=nobody", "Nobody was found"),
        ("way=0", "1 to 50 of 101"),
        ("way=1", "Nobody was found"),
    ] {
        let (_, page) = ask(&gallery, "", query);
        assert!(page.contains(said), "{query}: {page}");
    }
    assert_eq!(grouped(1_234_567), "1,234,567");
    assert_eq!([0, 999, 1000, 100_000].map(grouped), ["0", "999", "1,000", "100,000"]);
}
