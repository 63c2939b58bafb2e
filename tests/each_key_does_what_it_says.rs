//! The keys of the front matter that have no promise of their own: the text's template, unsubscribing, automatic
//! answers, columns of HTML.

use crate::support::{Home, samples::parse};

const LIST: &str =
    "email,name,token,details\nada@one.example,Ada,a&b/c,<b>bold</b> &amp; more\nbo@two.example,Bo,t2,<i>x</i>\n";

fn home(name: &str, front: &str, body: &str) -> Home {
    let home = Home::new();
    home.write(name, format!("+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n{front}\n+++\n{body}\n"));
    home.write("p.csv", LIST);
    home
}

#[track_caller]
fn refused(home: &Home, name: &str) -> String {
    home.run(&["check", name, "p.csv"]).ended(65).stderr
}

#[track_caller]
fn eml(home: &Home, name: &str) -> Vec<u8> {
    home.run(&["preview", name, "p.csv", "--row", "2", "--eml", "out"]).ended(0);
    std::fs::read(home.path().join("out/row-000002.eml")).unwrap()
}

#[test]
fn a_text_may_have_a_template_of_its_own() {
    let home = home("t.html.hbs", "text_template = \"own.txt.hbs\"", "<p>Dear <b>{{name}}</b></p>");
    home.write("own.txt.hbs", "Hello {{name}} *as typed* {{> foot}}\n");
    home.write("foot.txt.hbs", "{{upper name}}");
    let bytes = eml(&home, "t.html.hbs");
    let message = parse(&bytes);
    assert_eq!(message.body_text(0).unwrap().trim_end(), "Hello Ada *as typed* ADA");
    assert_eq!(message.body_html(0).unwrap().trim_end(), "<p>Dear <b>Ada</b></p>");
    home.write("own.txt.hbs", "Hello\n{{nme}}\n");
    let said = refused(&home, "t.html.hbs");
    assert!(said.contains("error: there is no column for {{nme}}\n --> own.txt.hbs:2:3\n"), "{said}");
    home.write("own.txt.hbs", "+++\nfrom = \"x\"\n+++\nHello\n");
    assert!(refused(&home, "t.html.hbs").contains("the text of a message has no front matter of its own"));
    for (named, said) in [
        ("none.txt.hbs", "there is no file \"none.txt.hbs\""),
        ("t.html.hbs", "is not the name of a .txt.hbs file below the template's directory"),
        ("../own.txt.hbs", "is not the path of a file below the template's directory"),
    ] {
        let home = self::home("t.md.hbs", &format!("text_template = \"{named}\""), "x");
        assert!(refused(&home, "t.md.hbs").contains(said), "{named}: {}", refused(&home, "t.md.hbs"));
    }
    let text = self::home("t.txt.hbs", "text_template = \"own.txt.hbs\"", "x");
    assert!(refused(&text, "t.txt.hbs").contains("the template is the text already"));
}

#[test]
fn who_unsubscribes_is_told_by_the_address() {
    let front =
        "unsubscribe = [\"https://lists.example/u?t={{token}}\", \"mailto:stop@police.example?subject={{token}}\"]";
    let home = home("t.txt.hbs", front, "x");
    let message = String::from_utf8(eml(&home, "t.txt.hbs")).unwrap().replace("\r\n ", " ");
    assert!(
        message.contains(
            "\r\nList-Unsubscribe: <https://lists.example/u?t=a%26b%2Fc>, <mailto:stop@police.example?subject=a%26b%2Fc>\r\n\
             List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        ),
        "{message}"
    );
    let by_mail = self::home("t.txt.hbs", "unsubscribe = \"mailto:stop@police.example\"", "x");
    let message = String::from_utf8(eml(&by_mail, "t.txt.hbs")).unwrap();
    assert!(message.contains("\r\nList-Unsubscribe: <mailto:stop@police.example>\r\n"), "{message}");
    assert!(!message.contains("One-Click"), "{message}");
    for (front, said) in [
        ("unsubscribe = \"https://lists.example/u\"", "everybody would have the same address for unsubscribing"),
        ("unsubscribe = \"http://lists.example/{{token}}\"", "a https:// or mailto: address is wanted"),
        ("unsubscribe = \"{{name}}\"", "a link would go to \"Ada\", which is no web, mail or telephone address"),
        ("unsubscribe = \"https://ü.example/{{token}}\"", "a https:// or mailto: address is wanted"),
        ("unsubscribe = \"https://x.example/{{tken}}\"", "there is no column for {{tken}}"),
        ("unsubscribe = \"https://x.example/{{url_encode token}}\"", "a value in a link's target is encoded by itself"),
        (
            "unsubscribe = \"mailto:stop@police.example\"\n[headers]\nlist-unsubscribe = \"<mailto:a@police.example>\"",
            "the header \"list-unsubscribe\" is set twice",
        ),
    ] {
        let home = self::home("t.txt.hbs", front, "x");
        assert!(refused(&home, "t.txt.hbs").contains(said), "{front}: {}", refused(&home, "t.txt.hbs"));
    }
}

#[test]
fn machines_are_told_not_to_answer_if_that_is_wanted() {
    let silent = home("t.txt.hbs", "auto_submitted = true", "x");
    let message = String::from_utf8(eml(&silent, "t.txt.hbs")).unwrap();
    assert!(
        message.contains("\r\nAuto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: OOF, AutoReply\r\n"),
        "{message}"
    );
    for front in ["", "auto_submitted = false"] {
        let message = String::from_utf8(eml(&home("t.txt.hbs", front, "x"), "t.txt.hbs")).unwrap();
        assert!(!message.contains("Auto-"), "{message}");
    }
    let own = home("t.txt.hbs", "[headers]\nAuto-Submitted = \"auto-replied\"", "x");
    assert!(String::from_utf8(eml(&own, "t.txt.hbs")).unwrap().contains("\r\nAuto-Submitted: auto-replied\r\n"));
}

#[test]
fn a_column_of_html_is_put_in_as_it_is() {
    let front = "raw_html = [\"details\"]";
    let html = home("t.html.hbs", front, "<div>{{{details}}}</div><p>{{details}}</p>");
    let bytes = eml(&html, "t.html.hbs");
    let message = parse(&bytes);
    assert_eq!(
        message.body_html(0).unwrap().trim_end(),
        "<div><b>bold</b> &amp; more</div><p>&lt;b&gt;bold&lt;/b&gt; &amp;amp; more</p>"
    );
    assert_eq!(message.body_text(0).unwrap().trim_end(), "bold & more\n\n<b>bold</b> &amp; more".replace('\n', "\r\n"));
    let markdown = home("t.md.hbs", front, "Dear {{name}},\n\n<div>{{{details}}}</div>");
    assert!(parse(&eml(&markdown, "t.md.hbs")).body_html(0).unwrap().contains("<div><b>bold</b> &amp; more</div>"));
    for (name, front, body, said) in [
        ("t.html.hbs", front, "{{{name}}}", "{{{name}}} would put a value from the list in unescaped"),
        ("t.html.hbs", front, "<p title=\"{{{details}}}\">x</p>", "HTML from the list can stand only where text can"),
        ("t.html.hbs", "raw_html = [\"detals\"]", "x", "there is no column for {{detals}}"),
        ("t.txt.hbs", front, "x", "plain text holds no HTML"),
    ] {
        let home = home(name, front, body);
        assert!(refused(&home, name).contains(said), "{body}: {}", refused(&home, name));
    }
    for (cell, said) in [
        ("<img src=https://evil.example/x.png>", "the message would load https://evil.example/x.png from elsewhere"),
        ("<script>x</script>", "mail programs drop <script>"),
        ("<p onclick=x>", "mail programs drop the script in onclick"),
        ("<!-- ", "is not closed at the end of the HTML"),
        ("<a href='", "is not closed at the end of the HTML"),
    ] {
        let html = home("t.html.hbs", front, "<div>{{{details}}}</div> Bye");
        html.write("p.csv", format!("email,name,token,details\nada@one.example,Ada,t,{cell}\n"));
        assert!(refused(&html, "t.html.hbs").contains(said), "{cell}: {}", refused(&html, "t.html.hbs"));
        let markdown = home("t.md.hbs", front, "{{{details}}}\n\nBye");
        markdown.write("p.csv", format!("email,name,token,details\nada@one.example,Ada,t,{cell}\n"));
        if !said.contains("closed") {
            assert!(refused(&markdown, "t.md.hbs").contains(said), "{cell}: {}", refused(&markdown, "t.md.hbs"));
        }
    }
}
