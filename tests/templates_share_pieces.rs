//! Partials: files below the template's directory and no others, checked where they are used, in whatever they are used.

use crate::support::{Home, Run};

const FRONT: &str = "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\n";

fn home(body: &str, partials: &[(&str, &str)]) -> Home {
    let home = Home::new();
    home.write("c/t.txt.hbs", format!("{FRONT}{body}\n"));
    home.write("p.csv", "name,ref,email\nAda,1,ada@one.example\nBo,,bo@two.example\nAda,3,ada@one.example\n");
    for (name, text) in partials {
        home.write(&format!("c/{name}"), text);
    }
    home
}

fn check(home: &Home) -> Run {
    home.run(&["check", "c/t.txt.hbs", "p.csv", "--group-by", "email"])
}

fn shown(home: &Home, row: &str) -> String {
    let run = home.run(&["preview", "c/t.txt.hbs", "p.csv", "--group-by", "email", "--row", row]).ended(0);
    run.stdout.split_once("\n\n").unwrap().1.trim_end().to_owned()
}

#[test]
fn a_partial_sees_what_is_seen_where_it_stands() {
    let home = home(
        "{{> greeting}}\n{{#each rows}}\n{{> parts/line}}\n{{/each}}\n{{> greeting}}",
        &[
            ("greeting.txt.hbs", "Dear {{name}},\n"),
            ("parts/line.hbs", "{{#if ref}}- {{ref}} for {{name}}{{> parts/dot}}{{else}}- none{{/if}}\n"),
            ("parts/dot.hbs", "."),
        ],
    );
    check(&home).ended(0);
    assert_eq!(shown(&home, "2"), "Dear Ada,\n- 1 for Ada.\n- 3 for Ada.\nDear Ada,");
    assert_eq!(shown(&home, "3"), "Dear Bo,\n- none\nDear Bo,");
    // In handlebars.js a partial does not see what is around the rows.
    home.write("c/parts/dot.hbs", "{{../name}}.\n{{#if (eq x ../name)}}{{/if}}");
    assert!(check(&home).ended(65).stderr.starts_with(
        "error: ../name reaches out of a partial, where Handlebars finds nothing\n --> c/parts/dot.hbs:1:3\n  |\n\
         1 | {{../name}}.\n  |   ^^^^^^^\n  |\n  = help: write it where the partial stands\n"
    ));
}

#[test]
fn what_is_wrong_in_a_partial_is_said_with_its_own_file_and_line() {
    let home = home("{{> greeting}}", &[("greeting.txt.hbs", "Hello\n{{nme}} {{#if ref}}{{ref}}{{/if}} {{name.}}\n")]);
    let said = check(&home).ended(65).stderr;
    assert!(said.contains(" --> c/greeting.txt.hbs:"), "{said}");
    home.write("c/greeting.txt.hbs", "Hello\n{{nme}} {{ref}}\n");
    let said = check(&home).ended(65).stderr;
    assert!(said.starts_with("error: there is no column for {{nme}}\n --> c/greeting.txt.hbs:2:3\n"), "{said}");
    // What it shows must be filled in, and be the same in all rows.
    home.write("c/greeting.txt.hbs", "{{ref}}");
    let said = check(&home).ended(65).stderr;
    assert!(
        said.contains("the cell is empty, and the message shows {{ref}}") && said.contains("uses {{ref}} once"),
        "{said}"
    );
    home.write("c/greeting.txt.hbs", "Hello {{name}}\n{{date name}}");
    let said = check(&home).ended(65).stderr;
    assert!(said.contains("the template cannot be filled in at c/greeting.txt.hbs:2:"), "{said}");
}

#[test]
fn no_partial_contains_itself_or_comes_from_elsewhere() {
    for (body, partials, said) in [
        (
            "{{> a}}",
            &[("a.hbs", "{{> b}}"), ("b.hbs", "x {{> a}}")][..],
            "error: this partial is within itself (a, b)\n --> c/b.hbs:1:7\n",
        ),
        ("{{> a}}", &[("a.hbs", "{{> a}}")], "error: this partial is within itself (a)\n --> c/a.hbs:1:5\n"),
        ("{{> ../p}}", &[], "error: \"../p\" is not the name of a file below the template's directory\n"),
        (
            "{{> nosuch}}",
            &[],
            "error: there is no partial \"nosuch\"\n --> c/t.txt.hbs:5:5\n  |\n5 | {{> nosuch}}\n  |     ^^^^^^\n  |\n  \
            = help: it would be the file c/nosuch.txt.hbs or c/nosuch.hbs\n",
        ),
        ("{{> a x=name}}", &[("a.hbs", "x")], "error: a partial has a fixed name, and takes no values\n"),
        ("{{> (upper name)}}", &[("a.hbs", "x")], "error: a partial has a fixed name, and takes no values\n"),
        (
            "{{#> a}}x{{/a}}",
            &[("a.hbs", "x")],
            "error: decorators, blocks of partials, and partials in headers are not available\n",
        ),
    ] {
        let home = home(body, partials);
        let run = check(&home).ended(65);
        assert!(run.stderr.starts_with(said), "{body}: {}", run.stderr);
    }
    // Twice as many at each level: refused long before it would take long.
    let many: Vec<(String, String)> = (0..40)
        .map(|nth| (format!("p{nth}.hbs"), format!("{{{{> p{}}}}}{{{{> p{}}}}}", nth + 1, nth + 1)))
        .chain([("p40.hbs".to_owned(), "x".to_owned())])
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let home = home("{{> p0}}", &many);
    assert!(check(&home).ended(65).stderr.contains("nested too deeply"));
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_directory_is_no_partial() {
    let home = home("{{> secret}}", &[]);
    home.write("secret.txt", "the secret");
    std::os::unix::fs::symlink(home.path().join("secret.txt"), home.path().join("c/secret.hbs")).unwrap();
    let said = check(&home).ended(65).stderr;
    assert!(
        said.starts_with("error: the partial \"secret\" lies outside of the template's directory\n")
            && !said.contains("the secret"),
        "{said}"
    );
    home.write("t2.txt.hbs", "x");
    std::fs::remove_file(home.path().join("c/secret.hbs")).unwrap();
    home.write("c/real.hbs", "Hello");
    std::os::unix::fs::symlink(home.path().join("c/real.hbs"), home.path().join("c/secret.hbs")).unwrap();
    check(&home).ended(0);
}

#[test]
fn each_way_through_a_template_can_be_seen_with_how_many_take_it() {
    let home = Home::new();
    home.write(
        "t.txt.hbs",
        "+++\nfrom = \"u@police.example\"\nsubject = \"{{#if note}}N{{else}}none{{/if}}\"\n+++\n{{> hello}}\n\
         {{#if (eq (lower level) \"high\")}}urgent{{#unless note}} and no note{{/unless}}{{else if (eq level \"low\")}}low{{else}}other{{/if}}\n",
    );
    home.write("hello.hbs", "{{#unless name}}Hello{{else}}Dear {{name}}{{/unless}},\n");
    let rows: Vec<String> = (0..300).map(|nth| format!("P{nth},,low,p{nth}@one.example\n")).collect();
    let list = format!(
        "name,note,level,email\nAda,x,high,ada@one.example\n,,HIGH,bo@two.example\nCem,y,High,cem@three.example\n{}",
        rows.concat()
    );
    home.write("p.csv", list);
    let run = home.run(&["preview", "t.txt.hbs", "p.csv", "--branches"]).ended(0);
    let message = |row: u32, to: &str, subject: &str, text: &str| {
        format!(
            "── row {row} ── to {to} alone ──\nFrom:     u@police.example\nTo:       {to}\nSubject:  {subject}\n\n{text}\n\n"
        )
    };
    assert_eq!(
        run.stdout,
        format!(
            "══ 1 of 3 ways: 2 of 303 recipients ══\n{{{{#if note}}}} (t.txt.hbs:3): shown\n{{{{#unless name}}}} (hello.hbs:1): not shown\n\
             {{{{#if (eq (lower level) \"high\")}}}} (t.txt.hbs:6): shown\n{{{{#unless note}}}} (t.txt.hbs:6): not shown\n\n{}\
             ══ 2 of 3 ways: 1 of 303 recipients ══\n{{{{#if note}}}} (t.txt.hbs:3): not shown\n{{{{#unless name}}}} (hello.hbs:1): shown\n\
             {{{{#if (eq (lower level) \"high\")}}}} (t.txt.hbs:6): shown\n{{{{#unless note}}}} (t.txt.hbs:6): shown\n\n{}\
             ══ 3 of 3 ways: 300 of 303 recipients ══\n{{{{#if note}}}} (t.txt.hbs:3): not shown\n{{{{#unless name}}}} (hello.hbs:1): not shown\n\
             {{{{#if (eq (lower level) \"high\")}}}} (t.txt.hbs:6): not shown\n{{{{#if (eq level \"low\")}}}} (t.txt.hbs:6): shown\n\n{}",
            message(2, "ada@one.example", "N", "Dear Ada,\nurgent"),
            message(3, "bo@two.example", "none", "Hello,\nurgent and no note"),
            message(5, "p0@one.example", "none", "Dear P0,\nlow"),
        )
    );
}

#[test]
fn values_in_partials_are_escaped_for_where_they_stand() {
    let home = Home::new();
    home.write(
        "t.html.hbs",
        format!("{FRONT}<p>{{{{> who}}}}</p><a href=\"https://one.example/?q={{{{> who}}}}\">x</a>\n"),
    );
    home.write("who.html.hbs", "{{name}}");
    home.write("p.csv", "name,email\n<b>&,ada@one.example\n");
    home.run(&["preview", "t.html.hbs", "p.csv", "--eml", "out"]).ended(0);
    let eml = std::fs::read(home.path().join("out/row-000002.eml")).unwrap();
    let html = crate::support::samples::parse(&eml).body_html(0).unwrap().into_owned();
    assert!(html.contains("<p>&lt;b&gt;&amp;</p>") && html.contains("?q=%3Cb%3E%26\""), "{html}");
}
