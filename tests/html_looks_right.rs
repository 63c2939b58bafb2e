//! HTML messages: layouts, styles in the elements, and nothing that is loaded from elsewhere.

use crate::support::{Home, samples::parse};

const FRONT: &str = "from = \"u@police.example\"\nsubject = \"A & B\"\n";

/// A campaign of one template, and what else lies beside it.
fn home(name: &str, front: &str, body: &str, files: &[(&str, &str)]) -> Home {
    let home = Home::new();
    home.write(&format!("c/{name}"), format!("+++\n{FRONT}{front}+++\n{body}\n"));
    home.write("p.csv", "name,logo,email\nAda <b>,https://one.example/a.png,ada@one.example\n");
    for (name, text) in files {
        home.write(&format!("c/{name}"), text);
    }
    home
}

fn message(home: &Home, name: &str) -> (String, String) {
    home.run(&["preview", &format!("c/{name}"), "p.csv", "--eml", "out"]).ended(0);
    let eml = std::fs::read(home.path().join("out/row-000002.eml")).unwrap();
    let message = parse(&eml);
    (message.body_text(0).unwrap().replace("\r\n", "\n"), message.body_html(0).unwrap().replace("\r\n", "\n"))
}

#[track_caller]
fn refused(home: &Home, name: &str) -> String {
    home.run(&["check", &format!("c/{name}"), "p.csv"]).ended(65).stderr
}

const RICH: &str = "# Head\n\nDear **{{name}}**, *see* [this](https://one.example/) and `code`.\n\n> quoted\n\n- one\n\n1. two\n\n\
                    | a | b |\n|---|--:|\n| 1 | 2 |\n\n```\nblock\n```\n\n---\n";

#[test]
fn markdown_is_put_into_the_plain_layout() {
    let home = home("t.md.hbs", "language = \"en\"\n", RICH, &[]);
    let (text, html) = message(&home, "t.md.hbs");
    assert!(text.starts_with("Head\n====\n\nDear Ada <b>, see"), "{text}");
    for part in [
        "<!DOCTYPE html>\n<html lang=\"en\">",
        "<title>A &amp; B</title>",
        "@media (prefers-color-scheme: dark)",
        "<h1 style=\"margin: ",
        "<p style=\"margin: ",
        "Ada &lt;b&gt;</strong>",
        "<blockquote style=\"",
        "<ul style=\"",
        "<ol style=\"",
        "<td style=\"",
        "; text-align: right\">2</td>",
        "<pre style=\"",
        "<hr style=\"",
        "<a href=\"https://one.example/\" style=\"color: #0b57d0",
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
}

/// What Outlook's Word and narrow screens need can be told from the text.
#[test]
fn the_plain_layout_is_safe_for_outlook() {
    let home = home("t.md.hbs", "", RICH, &[]);
    let (_, html) = message(&home, "t.md.hbs");
    assert_eq!(html.matches("<!--[if mso]>").count(), html.matches("<![endif]-->").count());
    let outside_of_conditions: String = html
        .split("<!--[if mso]>")
        .enumerate()
        .map(|(nth, part)| if nth == 0 { part } else { part.split_once("<![endif]-->").unwrap().1 })
        .collect();
    for tag in ["table", "tr", "td", "th", "p", "ul", "ol", "li", "blockquote", "pre", "code", "a"] {
        for document in [&html, &outside_of_conditions] {
            let open = document.matches(&format!("<{tag} ")).count() + document.matches(&format!("<{tag}>")).count();
            assert_eq!(open, document.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
    // All tables but the one of the text are for the layout, and say so; each has a width.
    let tables: Vec<&str> = html.split("<table").skip(1).map(|table| table.split('>').next().unwrap()).collect();
    let (layout, text): (Vec<&str>, Vec<&str>) =
        tables.into_iter().partition(|table| table.contains(" role=\"presentation\""));
    assert_eq!((layout.len(), text.len()), (3, 1), "{html}");
    assert!(layout.iter().all(|table| table.contains(" width=\"")), "{layout:?}");
    for unsafe_for_it in ["flex", "grid", "position:", "float", "<div", "calc(", "var(", "rem;"] {
        assert!(!html.contains(unsafe_for_it), "{unsafe_for_it}");
    }
    for loaded in ["src=", "url(", "@import", "<link", "<script"] {
        assert!(!html.contains(loaded), "{loaded}");
    }
}

/// WCAG 2.2 §1.4.3: a contrast of 4.5 to 1.
#[test]
fn colours_of_the_plain_layout_can_be_read() {
    let light = |colour: &str| {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    };
    let layout = include_str!("../templates/plain.html");
    let (day, night) = layout.split_once("@media (prefers-color-scheme: dark)").unwrap();
    for (part, grounds) in [(day, ["#ffffff", "#f3f4f6"]), (night, ["#1b1d21", "#2b2f36"])] {
        let colours: Vec<&str> = part.split(" color: #").skip(1).map(|rest| &rest[..6]).collect();
        assert_eq!(colours.len(), 3, "text, link and quotation");
        for colour in colours {
            for ground in grounds {
                assert!(part.contains(ground));
                let (one, other) = (light(&format!("#{colour}")), light(ground));
                let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                assert!(contrast >= 4.5, "#{colour} on {ground}: {contrast}");
            }
        }
    }
}

#[test]
fn a_layout_can_be_left_out() {
    let bare = home("t.md.hbs", "layout = \"none\"\n", RICH, &[]);
    let (_, html) = message(&bare, "t.md.hbs");
    assert!(html.contains("<h1>Head</h1>\n<p>Dear <strong>") && !html.contains("<style"), "{html}");
    let html_alone = home("t.html.hbs", "", "<p>{{name}}</p>", &[]);
    assert_eq!(message(&html_alone, "t.html.hbs").1.trim(), "<p>Ada &lt;b&gt;</p>");
}

const LAYOUT: &str = "<html lang=\"{{language}}\"><head><style>.a p { color: red } b { color: blue }</style></head>\n\
                      <body title=\"{{subject}}\"><p>Our Charity</p><div class=\"a\">\n{{ body }}\n</div>\
                      <p>Ask us: <a href=\"mailto:x@y.example?subject={{subject}}\">here</a></p></body></html>\n";

#[test]
fn rules_stay_for_elements_that_got_none() {
    for (body, stays) in [("Dear {{name}}", false), ("Dear {{name}}<br>x", true), ("<div>\n{{name}}\n</div>", true)] {
        let (_, html) = message(&home("t.md.hbs", "", body, &[]), "t.md.hbs");
        assert_eq!(html.contains("\nh1 { font-size"), stays, "{html}");
        assert!(html.contains("@media (prefers-color-scheme: dark) {"), "{html}");
    }
}

#[test]
fn a_layout_is_a_file_beside_the_template() {
    for (name, front, body) in [
        ("t.md.hbs", "layout = \"parts/ours.html\"\n", "Dear **{{name}}**\n"),
        ("t.html.hbs", "layout = \"parts/ours.html\"\n", "<p>Dear <b>{{name}}</b></p>{{> more}}\n"),
    ] {
        let files = [("parts/ours.html", LAYOUT), ("more.hbs", "")];
        let (text, html) = message(&home(name, front, body, &files), name);
        assert!(html.contains("<p style=\"color: red\">Dear <"), "{html}");
        assert!(html.contains("<body title=\"A &amp; B\"><p>Our Charity</p>"), "{html}");
        assert!(html.contains("?subject=A%20%26%20B\""), "{html}");
        assert_eq!(
            text.trim_end(),
            "Our Charity\n\nDear Ada <b>\n\nAsk us: here <mailto:x@y.example?subject=A%20%26%20B>"
        );
    }
}

#[test]
fn what_is_wrong_with_a_layout_is_said_with_its_place() {
    for (front, layout, said) in [
        ("layout = \"a.html\"\n", "<p>{{body}}\n{{name}}", "a layout cannot hold {{name}}\n --> c/a.html:2:1\n"),
        ("layout = \"a.html\"\n", "{{{body}}}", "a layout cannot hold {{{body}}}\n --> c/a.html:1:1\n"),
        ("layout = \"a.html\"\n", "<p>", "the layout does not say where the {{body}} goes\n --> c/a.html:1:1\n"),
        ("layout = \"a.html\"\n", "{{body}}\n {{body}}", "the {{body}} can be there only once\n --> c/a.html:2:2\n"),
        (
            "layout = \"a.html\"\n",
            "<p title=\"{{body}}\">",
            "the {{body}} can stand only where text can\n --> c/a.html:1:11\n",
        ),
        ("layout = \"a.html\"\n", "{{body}}{{sub", "{{ is opened here and never closed\n --> c/a.html:1:9\n"),
        (
            "layout = \"a.html\"\n",
            "{{body}}<p title={{subject}}>",
            "a value from the list cannot stand in an attribute without",
        ),
        (
            "layout = \"a.html\"\n",
            "{{body}}<img src=\"//one.example\">",
            "the message would load //one.example from elsewhere\n --> c/a.html:1:14\n",
        ),
        (
            "layout = \"../a.html\"\n",
            "",
            "\"../a.html\" is not the name of an .html file below the template's directory\n --> c/t.md.hbs:4:10\n",
        ),
        ("layout = \"plan\"\n", "", "\"plan\" is not the name of an .html file below the template's directory\n"),
        ("layout = \"nosuch.html\"\n", "", "there is no layout \"nosuch.html\"\n --> c/t.md.hbs:4:10\n"),
        ("layout = 1\n", "", "\"layout\" must be a string"),
        ("allow_remote = \"yes\"\n", "", "\"allow_remote\" must be true or false"),
    ] {
        let home = home("t.md.hbs", front, "Dear {{name}}", &[("a.html", layout)]);
        let found = refused(&home, "t.md.hbs");
        assert!(found.starts_with(&format!("error: {said}")), "{layout}\n{found}");
    }
    let text = home("t.txt.hbs", "layout = \"plain\"\n", "Dear {{name}}", &[]);
    assert!(refused(&text, "t.txt.hbs").starts_with("error: plain text has no layout\n --> c/t.txt.hbs:4:10\n"));
    let whole = home("t.html.hbs", "layout = \"plain\"\n", "<html><body>Dear {{name}}</body></html>", &[]);
    assert!(
        refused(&whole, "t.html.hbs").starts_with("error: <html> is in the layout already\n --> c/t.html.hbs:6:1\n")
    );
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_directory_is_no_layout() {
    let home = home("t.md.hbs", "layout = \"a.html\"\n", "Dear {{name}}", &[]);
    home.write("secret.html", "the secret {{body}}");
    std::os::unix::fs::symlink(home.path().join("secret.html"), home.path().join("c/a.html")).unwrap();
    let said = refused(&home, "t.md.hbs");
    assert!(
        said.starts_with("error: the layout \"a.html\" lies outside of the template's directory\n")
            && !said.contains("the secret"),
        "{said}"
    );
}

#[test]
fn nothing_comes_from_elsewhere_unless_it_is_permitted() {
    let picture = "![us](https://one.example/a.png) for {{name}}";
    let said = refused(&home("t.md.hbs", "", picture, &[]), "t.md.hbs");
    assert!(
        said.starts_with(
            "error: the message would load https://one.example/a.png from elsewhere\n --> c/t.md.hbs:5:1\n"
        ),
        "{said}"
    );
    let (_, html) = message(&home("t.md.hbs", "allow_remote = true\n", picture, &[]), "t.md.hbs");
    assert!(html.contains("<img src=\"https://one.example/a.png\" alt=\"us\" style=\""), "{html}");
    // In a partial, and by a value of the list.
    let partial =
        home("t.html.hbs", "", "<p>{{name}}</p>\n{{> more}}", &[("more.hbs", "x\n<img src='//one.example/'>")]);
    let said = refused(&partial, "t.html.hbs");
    assert!(said.contains(" --> c/more.hbs:2:6\n"), "{said}");
    for (name, body) in [("t.md.hbs", "![x]({{logo}})"), ("t.html.hbs", "x <img alt=\"\" src=\"{{logo}}\">")] {
        let said = refused(&home(name, "", body, &[]), name);
        let wanted = "error: p.csv, row 2: the message would load https://one.example/a.png from elsewhere\n";
        assert!(said.starts_with(wanted), "{said}");
        message(&home(name, "allow_remote = true\n", body, &[]), name);
    }
    let script = home("t.html.hbs", "allow_remote = true\n", "<p>{{name}}</p>\n<script>x</script>", &[]);
    let said = refused(&script, "t.html.hbs");
    assert!(
        said.starts_with("error: mail programs drop <script>, and some the whole message\n --> c/t.html.hbs:7:1\n"),
        "{said}"
    );
}

#[test]
fn the_styles_of_html_go_into_its_elements() {
    let body = "<style>p { color: red }</style><p>{{name}}\n<p {{#if name}}class=\"x\"{{/if}}>{{date name}}";
    let said = refused(&home("t.html.hbs", "", body, &[]), "t.html.hbs");
    let column = body.lines().nth(1).unwrap().find("{{date").unwrap() + 1;
    assert!(said.contains(&format!("c/t.html.hbs:6:{column}:")), "{said}");
    let well = body.replace("date name", "name");
    let (_, html) = message(&home("t.html.hbs", "", &well, &[]), "t.html.hbs");
    assert_eq!(
        html.trim_end(),
        "<style>p { color: red }</style><p style=\"color: red\">Ada &lt;b&gt;\n<p style=\"color: red\" class=\"x\">Ada &lt;b&gt;"
    );
}
