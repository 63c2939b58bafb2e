//! Handlebars as handlebars.js defines it: what it makes of a template is what a message says, or the template is
//! refused with its line.
//!
//! What is expected was recorded with handlebars.js 4.7.10, `Handlebars.compile(template, { noEscape: true })`, given the
//! values below; `eq` and `ne` were `===` and `!==`, `and`, `or` and `not` asked what `{{#if}}` asks, and the other
//! helpers did what the guide says. Of what is refused, handlebars.js takes some and not the rest.

use apiece::{campaign::ListOptions, recipients::RecipientList, template::Template};
use tempfile::TempDir;

const FRONT: &str = "+++\nfrom = \"u@police.example\"\nsubject = \"x\"\n+++\n";

/// One person with one row.
const ONE: &str = "name,x,y,z,note,email\nAda,1,,\"a\nb\",,ada@one.example\n";

/// One person with three.
const ROWS: &str = "name,x,y,z,note,email\n\
    Ada,1,,\"a\nb\",,ada@one.example\n\
    Ada,,\"two\nlines\",\"a\nb\",,ada@one.example\n\
    Ada,3,t,\"a\nb\",,ada@one.example\n";

const PIECES: &[(&str, &str)] = &[
    ("foot", "-- \nA\nB\n"),
    ("one", "x"),
    ("nest", "N\n  {{> foot}}\n"),
    ("head", "{{#if note}}\nnote\n{{else}}\nno note\n{{/if}}\n"),
    ("cell", "{{z}}\n"),
    ("idx", "{{@index}}{{#if @last}}.{{/if}}"),
];

fn list(text: &str, group_by: Option<&str>) -> RecipientList {
    let optional = ["name", "x", "y", "z", "note"].map(str::to_owned).to_vec();
    let options = ListOptions { optional, group_by: group_by.map(str::to_owned), ..ListOptions::default() };
    RecipientList::parse("p.csv", text, &options).unwrap()
}

/// What the message to Ada says, or all that is wrong with the template.
fn made(template: &str, list: &RecipientList) -> Result<String, String> {
    let home = TempDir::new().unwrap();
    for (name, text) in PIECES {
        std::fs::write(home.path().join(format!("{name}.txt.hbs")), text).unwrap();
    }
    let path = home.path().join("t.txt.hbs");
    std::fs::write(&path, format!("{FRONT}{template}")).unwrap();
    let template = Template::read(&path, list.columns());
    let said =
        |wrong: apiece::diagnostic::Diagnostics| wrong.to_string().replace(&path.display().to_string(), "t.txt.hbs");
    Ok(template.map_err(said)?.render(list.iter().next().unwrap()).map_err(|wrong| wrong.to_string())?.text)
}

fn all_as_recorded(cases: &[(&str, &str)], list: &RecipientList) {
    let other: Vec<String> = cases
        .iter()
        .map(|(template, expected)| (template, made(template, list), expected))
        .filter(|(_, made, expected)| made.as_deref() != Ok(**expected))
        .map(|(template, made, expected)| format!("{template:?}\n   expected {expected:?}\n       made {made:?}"))
        .collect();
    assert!(other.is_empty(), "{}", other.join("\n"));
}

#[test]
fn blocks() {
    all_as_recorded(BLOCKS, &list(ONE, None));
}

#[test]
fn chains_of_else() {
    all_as_recorded(ELSE_CHAINS, &list(ONE, None));
}

#[test]
fn white_space() {
    all_as_recorded(WHITE_SPACE, &list(ONE, None));
}

#[test]
fn comments() {
    all_as_recorded(COMMENTS, &list(ONE, None));
}

#[test]
fn escapes() {
    all_as_recorded(ESCAPES, &list(ONE, None));
}

#[test]
fn helpers_and_subexpressions() {
    all_as_recorded(SUBEXPRESSIONS, &list(ONE, None));
}

#[test]
fn names() {
    all_as_recorded(NAMES, &list(ONE, None));
}

#[test]
fn rows_index_and_the_person_around() {
    all_as_recorded(EACH, &list(ROWS, Some("email")));
}

#[test]
fn partials() {
    all_as_recorded(PARTIALS, &list(ROWS, Some("email")));
}

#[test]
fn what_is_refused_has_its_place() {
    let list = list(ONE, None);
    for (template, place, said, help) in REFUSED {
        let (line, column) = place.split_once(':').unwrap();
        let line = line.parse::<usize>().unwrap() + FRONT.lines().count();
        let all = made(template, &list).expect_err(template);
        assert!(all.starts_with(&format!("error: {said}\n --> t.txt.hbs:{line}:{column}\n")), "{template}\n{all}");
        let end = if help.is_empty() { "  |\n".to_owned() } else { format!("  = help: {help}\n") };
        assert!(all.contains(&end), "{template}\n{all}");
        assert_eq!(all.contains("= help: "), !help.is_empty(), "{template}\n{all}");
    }
}

#[test]
fn a_refusal_shows_the_line() {
    let list = list(ONE, None);
    assert_eq!(
        made("Dear {{name}},\n{{join name x sep=\"\\n\"}}\n", &list).unwrap_err(),
        "error: a backslash in \"\\n\" has no meaning in Handlebars\n --> t.txt.hbs:6:19\n  |\n\
         6 | {{join name x sep=\"\\n\"}}\n  |                   ^^^^\n  |\n  \
         = help: leave it out; it only stands before a quotation mark\n"
    );
    assert_eq!(
        made("a\n{{{{raw}}}}b{{{{/raw}}}}\n", &list).unwrap_err(),
        "error: raw blocks, {{{{…}}}}, are not available\n --> t.txt.hbs:6:1\n  |\n\
         6 | {{{{raw}}}}b{{{{/raw}}}}\n  | ^^^^\n  |\n  \
         = help: to show braces, write a backslash before them: \\{{\n"
    );
}

const BLOCKS: &[(&str, &str)] = &[
    ("{{#if x}}yes{{/if}}", "yes"),
    ("a{{#if y}}yes{{/if}}b", "ab"),
    ("{{#unless y}}none{{/unless}}", "none"),
    ("a{{#unless x}}none{{/unless}}b", "ab"),
    ("{{#if y}}yes{{else}}no{{/if}}", "no"),
    ("{{#unless x}}no{{else}}yes{{/unless}}", "yes"),
    ("{{#if x}}{{#if y}}both{{else}}only x{{/if}}{{/if}}", "only x"),
    ("{{#if x}}{{^}}{{/if}}a", "a"),
    ("{{#if y}}{{^}}empty{{/if}}", "empty"),
    ("{{#if y}}a{{else}}{{/if}}b", "b"),
    ("{{# if x }}yes{{/ if }}", "yes"),
    ("{{#if\nx\n}}yes{{/if\n}}", "yes"),
    ("{{#if \"\"}}yes{{else}}no{{/if}}", "no"),
    ("{{#if \"0\"}}yes{{else}}no{{/if}}", "yes"),
    ("{{#if 0}}yes{{else}}no{{/if}}", "no"),
    ("{{#if 0 includeZero=true}}yes{{else}}no{{/if}}", "yes"),
    ("{{#if true}}yes{{/if}}", "yes"),
    ("{{#if null}}yes{{else}}no{{/if}}", "no"),
    ("{{#if this.x}}{{./name}}{{/if}}", "Ada"),
];

const ELSE_CHAINS: &[(&str, &str)] = &[
    ("{{#if y}}a{{else if x}}b{{else}}c{{/if}}", "b"),
    ("{{#if y}}a{{else if note}}b{{else}}c{{/if}}", "c"),
    ("{{#if y}}a{{else if note}}b{{else if x}}c{{/if}}", "c"),
    ("{{#if y}}a{{else unless y}}b{{/if}}", "b"),
    ("{{#unless x}}a{{else if (eq x \"1\")}}b{{else}}c{{/unless}}", "b"),
    ("{{#if y}}\na\n{{else if x}}\nb\n{{else}}\nc\n{{/if}}\nd", "b\nd"),
    ("{{#if x}}\na\n{{else if y}}\nb\n{{else}}\nc\n{{/if}}\nd", "a\nd"),
    ("{{#if y}}\na\n{{else if note}}\nb\n{{else if x}}\nc\n{{else}}\nd\n{{/if}}\ne", "c\ne"),
    ("  {{#if y}}\n  a\n  {{else if x}}\n  b\n  {{/if}}\nc", "  b\n  c"),
    ("  {{#if y}}\n  a\n  {{else if note}}\n  b\n  {{else}}\n  c\n  {{/if}}\nd", "  c\n  d"),
    ("a {{#if y}} b {{~else if x~}} c {{/if}} d", "a c  d"),
    ("a {{#if y}} b {{else if x~}} c {{~/if}} d", "a c d"),
    ("{{#if y}}a{{~else if note~}} b {{~else if x}} c {{~/if~}} d", " cd"),
    ("{{#if y}}a{{ else  if x }}b{{/if}}", "b"),
    ("{{#if x}}{{#if y}}a{{else if x}}b{{/if}}{{else if y}}c{{/if}}", "b"),
    ("{{#if y}}a{{else if x}}{{#if note}}b{{else}}c{{/if}}{{/if}}", "c"),
];

const WHITE_SPACE: &[(&str, &str)] = &[
    ("a\n{{#if x}}\nb\n{{/if}}\nc", "a\nb\nc"),
    ("a\n  {{#if x}}  \n  b\n\t{{/if}}\t\nc", "a\n  b\nc"),
    ("a\n\n{{#if x}}\n\nb\n\n{{/if}}\n\nc", "a\n\n\nb\n\n\nc"),
    ("{{#if x}}\nb\n{{/if}}", "b\n"),
    ("{{#if x}}\nb\n{{/if}}  ", "b\n"),
    ("  {{#if x}}\nb\n{{/if}}\n", "b\n"),
    ("a\n{{#if y}}\nb\n{{else}}\nc\n{{/if}}\nd", "a\nc\nd"),
    ("a\n  {{#if y}}\n  b\n  {{else}}\n  c\n  {{/if}}\nd", "a\n  c\nd"),
    ("a\n{{#if x}}\nb\n{{^}}\nc\n{{/if}}\nd", "a\nb\nd"),
    ("a {{#if x}}\nb\n{{/if}} c", "a \nb\n c"),
    ("a\n{{#if x}} b\n{{/if}}\nc", "a\n b\nc"),
    ("a\n{{#if x}}b{{/if}}\nc", "a\nb\nc"),
    ("a\n{{#if x}}\nb{{/if}}\nc", "a\nb\nc"),
    ("a\n{{#if x}}b\n{{/if}}\nc", "a\nb\nc"),
    ("a\n{{name}}\nb", "a\nAda\nb"),
    ("  {{name}}  ", "  Ada  "),
    ("a\n{{#if x}}{{#if x}}\nb\n{{/if}}{{/if}}\nc", "a\n\nb\n\nc"),
    ("a\n{{#if x}}\n{{#if x}}\nb\n{{/if}}\n{{/if}}\nc", "a\nb\nc"),
    ("a\n{{#if x}}\n  {{#if y}}\n  b\n  {{/if}}\n{{/if}}\nc", "a\nc"),
    ("{{#if x}}\n{{/if}}\na", "a"),
    ("a\n{{#if y}}\nb\n{{/if}}\n{{#if y}}\nc\n{{/if}}\nd", "a\nd"),
    ("a\r\n{{#if x}}\r\nb\r\n{{/if}}\r\nc", "a\nb\nc"),
    ("a\n\u{a0}{{#if x}}\nb\n{{/if}}\nc", "a\n\u{a0}b\nc"),
    ("a {{~name~}} b", "aAdab"),
    ("a {{~name}} b", "aAda b"),
    ("a {{name~}} b", "a Adab"),
    ("a\n\n {{~name~}} \n\n b", "aAdab"),
    ("a {{~#if x~}} b {{~/if~}} c", "abc"),
    ("a {{#if x~}} b {{~/if}} c", "a b c"),
    ("a {{~#if x}} b {{/if~}} c", "a b c"),
    ("a\n{{~#if x}}\nb\n{{~/if}}\nc", "abc"),
    ("a\n{{#if x~}}\nb\n{{/if~}}\nc", "a\nb\nc"),
    ("{{#if y}} a {{~else~}} b {{/if}}", "b "),
    ("{{#if y}} a {{~^~}} b {{/if}}", "b "),
    ("{{#if x}} a {{~else}} b {{/if}}c", " ac"),
    ("a{{~ name ~}} b", "aAdab"),
    ("\u{a0}{{~name~}}\u{a0}b", "Adab"),
    ("a\n{{#if x~}}\n\n{{name}}\n\n{{~/if}}\nb", "a\nAdab"),
];

const COMMENTS: &[(&str, &str)] = &[
    ("a{{! c }}b", "ab"),
    ("a{{!-- c --}}b", "ab"),
    ("a{{!-- }} {{name}} --}}b", "ab"),
    ("a{{!}}b", "ab"),
    ("a{{!--}}b", "ab"),
    ("a\n{{! c }}\nb", "a\nb"),
    ("a\n  {{!-- c --}}  \nb", "a\nb"),
    ("a\n{{! c }} b", "a\n b"),
    ("{{! c }}\na", "a"),
    ("a\n{{! c }}", "a\n"),
    ("a {{~! c ~}} b", "ab"),
    ("a {{~!-- c --~}} b", "ab"),
    ("a {{! c ~}} b", "a b"),
    ("a\n{{!-- c\nd --}}\nb", "a\nb"),
    ("a{{! \"it's }}b", "ab"),
    ("a{{! {{name }}b", "ab"),
    ("a{{! c }}}b", "a}b"),
    ("a{{!-- c -- d --}}b", "ab"),
    ("a{{!- c -}}b", "ab"),
    ("a\n\n{{! c }}\n\nb", "a\n\n\nb"),
    ("a\n{{! c }}{{! d }}\nb", "a\n\nb"),
];

const ESCAPES: &[(&str, &str)] = &[
    ("\\{{name}}", "{{name}}"),
    ("\\\\{{name}}", "\\Ada"),
    ("\\\\\\{{name}}", "\\\\Ada"),
    ("a\\b", "a\\b"),
    ("a\\{{name}} {{name}}", "a{{name}} Ada"),
    ("\\{{a}}\\{{b}}", "{{a}}{{b}}"),
    ("\\{{a}}\\\\{{name}}", "{{a}}\\Ada"),
    ("\\{{#if x}}", "{{#if x}}"),
    ("\\{{{x}}}", "{{{x}}}"),
    ("\\{{!-- c --}}", "{{!-- c --}}"),
    ("\\{{a\n{{#if x}}\nb\n{{/if}}", "{{a\nb\n"),
    ("{name} } {", "{name} } {"),
    ("}} a", "}} a"),
    ("{ {{name}} }", "{ Ada }"),
    ("a\\ {{name}}", "a\\ Ada"),
];

const SUBEXPRESSIONS: &[(&str, &str)] = &[
    ("{{#if (eq x \"1\")}}yes{{/if}}", "yes"),
    ("{{#if (ne x '1')}}yes{{else}}no{{/if}}", "no"),
    ("{{#if (and x y)}}yes{{else}}no{{/if}}", "no"),
    ("{{#if (or x y)}}yes{{else}}no{{/if}}", "yes"),
    ("{{#if (not y)}}yes{{/if}}", "yes"),
    ("{{#if (and (not y) (eq name \"Ada\"))}}yes{{/if}}", "yes"),
    ("{{#if (eq (upper name) \"ADA\")}}yes{{/if}}", "yes"),
    ("{{upper (lower name)}}", "ADA"),
    ("{{#if ( eq  x\n\"1\" )}}yes{{/if}}", "yes"),
    ("{{#unless (or y note)}}none{{/unless}}", "none"),
    ("{{join name x sep=\"-\"}}", "Ada-1"),
    ("{{join name x sep = '-'}}", "Ada-1"),
    ("{{join name (upper z) x last=\" and \"}}", "Ada, A\nB and 1"),
    ("{{default y \"none\"}}", "none"),
    ("{{default y 12}}", "12"),
    ("{{eq x \"1\"}}", "true"),
    ("{{default y \"}}\"}}", "}}"),
    ("{{default y \"{{\"}}", "{{"),
    ("{{default y 'say \"hi\"'}}", "say \"hi\""),
    ("{{default y \"say \\\"hi\\\"\"}}", "say \"hi\""),
    ("{{default y \"it's\"}}", "it's"),
    ("{{default y \"\"}}a", "a"),
];

const NAMES: &[(&str, &str)] = &[
    ("{{name}}", "Ada"),
    ("{{ name }}", "Ada"),
    ("{{\nname\t}}", "Ada"),
    ("{{this.name}}", "Ada"),
    ("{{./name}}", "Ada"),
    ("{{z}}", "a\nb"),
    ("{{y}}a", "a"),
    ("{{upper name}}{{lower name}}", "ADAada"),
    ("{{name}}{{x}}", "Ada1"),
];

const EACH: &[(&str, &str)] = &[
    ("{{#each rows}}{{x}},{{/each}}", "1,,3,"),
    ("{{#each rows}}{{@index}}{{/each}}", "012"),
    ("{{#each rows}}{{#if @first}}first{{/if}}{{x}}{{#unless @last}}, {{/unless}}{{/each}}", "first1, , 3"),
    ("{{#each rows}}{{@first}} {{/each}}", "true false false "),
    ("{{#each rows}}{{../name}} {{x}};{{/each}}", "Ada 1;Ada ;Ada 3;"),
    ("{{#each rows}}{{#if x}}{{../name}}{{else}}-{{/if}}{{/each}}", "Ada-Ada"),
    ("a\n{{#each rows}}\n- {{x}}\n{{/each}}\nb", "a\n- 1\n- \n- 3\nb"),
    ("a\n  {{#each rows}}\n  - {{x}}\n  {{/each}}\nb", "a\n  - 1\n  - \n  - 3\nb"),
    (
        "{{#each rows}}\n{{#if y}}\n{{@index}}: {{y}}\n{{else if x}}\nx {{x}}\n{{/if}}\n{{/each}}",
        "x 1\n1: two\nlines\n2: t\n",
    ),
    ("a {{~#each rows~}} {{x}} {{~/each~}} b", "a13b"),
    ("{{#each rows}}{{this.x}}{{./x}}{{/each}}", "1133"),
    ("{{#each rows}}{{x}}{{else}}none{{/each}}", "13"),
    ("{{#each rows}}{{#if (eq name ../name)}}same{{else}}other{{/if}} {{/each}}", "same same same "),
    ("{{name}}: {{#each rows}}{{name}}{{/each}}", "Ada: AdaAdaAda"),
    ("{{#each rows}}{{#if (and @first x)}}a{{/if}}{{/each}}", "a"),
];

const PARTIALS: &[(&str, &str)] = &[
    ("{{> foot}}", "-- \nA\nB\n"),
    ("a\n{{> foot}}\nb", "a\n-- \nA\nB\nb"),
    ("a\n  {{> foot}}\nb", "a\n  -- \n  A\n  B\nb"),
    ("a\n\t{{> foot}}\nb", "a\n\t-- \n\tA\n\tB\nb"),
    ("a {{> foot}} b", "a -- \nA\nB\n b"),
    ("a\n  {{> foot}} b", "a\n  -- \nA\nB\n b"),
    ("a\n  {{> foot}}", "a\n  -- \n  A\n  B\n"),
    ("  {{> foot}}\nb", "  -- \n  A\n  B\nb"),
    ("a {{~> one~}} b", "axb"),
    ("a\n  {{~> foot}}\nb", "a-- \nA\nB\nb"),
    ("a\n  {{> foot~}}\n  b", "a\n  -- \n  A\n  B\nb"),
    ("a\n  {{> nest}}\nb", "a\n  N\n    -- \n    A\n    B\nb"),
    ("a\n{{> head}}\nb", "a\nno note\nb"),
    ("a\n  {{> head}}\nb", "a\n  no note\nb"),
    ("a\n  {{> cell}}\nb", "a\n  a\n  b\nb"),
    ("{{>one}}{{> one }}", "xx"),
    ("{{#each rows}}{{> idx}}{{/each}}", "012."),
    ("{{#if name}}\n  {{> foot}}\n{{/if}}", "  -- \n  A\n  B\n"),
    ("{{#if name}}\n  {{> one}}\n{{/if}}\nb", "  xb"),
    ("a\n{{> one}}\nb", "a\nxb"),
    ("{{#each rows}}\n  {{> cell}}\n{{/each}}", "  a\n  b\n  a\n  b\n  a\n  b\n"),
];

const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("{{\"name\"}}", "1:3", "a tag begins with a name, and \"name\" is a text", "without quotation marks it is name"),
    (
        "{{'first name'}}",
        "1:3",
        "a tag begins with a name, and 'first name' is a text",
        "without quotation marks it is first_name",
    ),
    ("{{(upper name)}}", "1:3", "a tag begins with a name, and not with a bracket", "take the brackets away"),
    (
        "{{#name}}a{{/name}}",
        "1:4",
        "{{#name}} is not a block",
        "to ask whether a cell is filled in, write {{#if name}}…{{/if}}",
    ),
    (
        "{{^name}}a{{/name}}",
        "1:1",
        "{{^…}} with a name is not available",
        "write {{#unless …}}…{{/unless}}, or {{else if …}} within a block",
    ),
    (
        "{{#if x}}{{^if y}}a{{/if}}{{/if}}",
        "1:10",
        "{{^…}} with a name is not available",
        "write {{#unless …}}…{{/unless}}, or {{else if …}} within a block",
    ),
    (
        "{{#if x}}a{{^if y}}b{{/if}}",
        "1:11",
        "{{^…}} with a name is not available",
        "write {{#unless …}}…{{/unless}}, or {{else if …}} within a block",
    ),
    ("{{{name}}}", "1:4", "{{{name}}} would put a value from the list in unescaped", "write {{name}}"),
    ("{{&name}}", "1:4", "{{{name}}} would put a value from the list in unescaped", "write {{name}}"),
    (
        "{{{{raw}}}}a{{{{/raw}}}}",
        "1:1",
        "raw blocks, {{{{…}}}}, are not available",
        "to show braces, write a backslash before them: \\{{",
    ),
    ("{{* d}}", "1:1", "decorators, blocks of partials, and partials in headers are not available", ""),
    (
        "{{#*inline \"a\"}}{{/inline}}",
        "1:1",
        "decorators, blocks of partials, and partials in headers are not available",
        "",
    ),
    ("{{#> foot}}a{{/foot}}", "1:1", "decorators, blocks of partials, and partials in headers are not available", ""),
    ("{{#if x as |y|}}a{{/if}}", "1:8", "this is not Handlebars: {{#if}} gives no names with \"as\"", ""),
    ("{{ #if x}}a{{/if}}", "1:4", "there is no # behind a space or a tilde", "write it right behind {{ or {{~"),
    ("{{#if x}}a{{ /if}}", "1:14", "there is no / behind a space or a tilde", "write it right behind {{ or {{~"),
    ("{{ > foot}}", "1:4", "there is no > behind a space or a tilde", "write it right behind {{ or {{~"),
    ("{{ ! c }}", "1:4", "there is no ! behind a space or a tilde", "write it right behind {{ or {{~"),
    ("{{ ~name}}", "1:4", "there is no ~ behind a space or a tilde", "write {{~ at the beginning"),
    ("{{name~ }}", "1:3", "there is no tilde in \"name~\"", "write it right behind {{ or before }}"),
    ("{{~~name}}", "1:4", "there is no ~ behind a space or a tilde", "write {{~ at the beginning"),
    (
        "{{name}}}",
        "1:9",
        "a tag that begins with two braces ends with three",
        "write {{name}}{{!}}} if a brace follows",
    ),
    (
        "{{#if x}}}a{{/if}}",
        "1:10",
        "a tag that begins with two braces ends with three",
        "write {{#if x}}{{!}}} if a brace follows",
    ),
    (
        "{{join sep=\"-\" name x}}",
        "1:16",
        "name stands behind a value with a name",
        "values without a name come first, as in {{join first last sep=\" \"}}",
    ),
    (
        "{{join name x sep=\"\\n\"}}",
        "1:19",
        "a backslash in \"\\n\" has no meaning in Handlebars",
        "leave it out; it only stands before a quotation mark",
    ),
    (
        "{{default y \"a\\\\b\"}}",
        "1:13",
        "a backslash in \"a\\\\b\" has no meaning in Handlebars",
        "leave it out; it only stands before a quotation mark",
    ),
    ("{{#if(eq x \"1\")}}a{{/if}}", "1:4", "there is no space behind \"if\"", "write one"),
    ("{{default y\"a\"}}", "1:11", "there is no space behind \"y\"", "write one"),
    (
        "{{default y 1.0}}",
        "1:13",
        "1.0 is not a whole number as Handlebars writes it",
        "put it in quotation marks: \"1.0\"",
    ),
    (
        "{{default y 007}}",
        "1:13",
        "007 is not a whole number as Handlebars writes it",
        "put it in quotation marks: \"007\"",
    ),
    (
        "{{default y 1E2}}",
        "1:13",
        "1E2 is not a whole number as Handlebars writes it",
        "put it in quotation marks: \"1E2\"",
    ),
    ("{{#if undefined}}a{{/if}}", "1:7", "\"undefined\" stands for nothing", "give the column another name"),
    ("{{#if [x]}}a{{/if}}", "1:7", "there is no column for {{[x]}}", "did you mean {{x}}?"),
    ("{{#if [1]}}a{{/if}}", "1:7", "cells hold text, and [1] is none", "write \"[1]\""),
    ("{{[name]}}", "1:3", "there is no column for {{[name]}}", "did you mean {{name}}?"),
    ("{{elsewhere}}", "1:3", "{{elsewhere}} cannot be told from an else", "write {{this.elsewhere}}"),
    ("{{name", "1:1", "a tag is opened here and never closed", "close it with }}"),
    ("a\n{{#if x}}", "2:1", "{{#if}} is opened here and never closed", "close it with {{/if}}"),
    (
        "{{#if x}}{{else}}a{{else}}b{{/if}}",
        "1:21",
        "this is not Handlebars: unexpected invert_tag_item; expected leading_tilde_to_omit_whitespace",
        "",
    ),
    ("{{#if x}}{{else}}a{{else if y}}b{{/if}}", "1:30", "this is not Handlebars: expected keywords", ""),
    (
        "{{else}}",
        "1:3",
        "this is not Handlebars: unexpected invert_tag_item; expected leading_tilde_to_omit_whitespace",
        "",
    ),
    (
        "{{/if}}",
        "1:3",
        "this is not Handlebars: expected identifier, subexpression, leading_tilde_to_omit_whitespace, or path_inline",
        "",
    ),
    (
        "{{#if x}}a{{/unless}}",
        "1:11",
        "this is not Handlebars: helper \"if\" was opened, but \"unless\" is closing",
        "",
    ),
    ("{{#if x}}a{{/}}", "1:11", "this is not Handlebars: helper \"if\" was opened, but \"\" is closing", ""),
    (
        "{{}}",
        "1:3",
        "this is not Handlebars: expected identifier, subexpression, leading_tilde_to_omit_whitespace, or path_inline",
        "",
    ),
    ("{{this}}", "1:3", "\"this\" is not the name of a column", ""),
    (
        "{{.}}",
        "1:3",
        "this is not Handlebars: expected identifier, subexpression, leading_tilde_to_omit_whitespace, or path_inline",
        "",
    ),
    ("{{@index}}", "1:3", "\"@index\" is not the name of a column", ""),
    ("{{../name}}", "1:3", "\"../name\" is not the name of a column", ""),
    (
        "{{name.length}}",
        "1:3",
        "there is no column for {{name.length}}",
        "the list has the columns \"name\", \"x\", \"y\", \"z\", \"note\", \"email\"",
    ),
    ("{{this/name}}", "1:3", "\"this/name\" is not the name of a column", ""),
    ("{{#with name}}a{{/with}}", "1:4", "{{#with}} has nothing to go through: a column holds one value", ""),
    (
        "{{lookup this \"name\"}}",
        "1:3",
        "there is no helper \"lookup\"",
        "the helpers are eq, ne, and, or, not, upper, lower, title, trim, default, date, number, currency, plural, join, url_encode",
    ),
    (
        "{{log name}}",
        "1:3",
        "there is no helper \"log\"",
        "the helpers are eq, ne, and, or, not, upper, lower, title, trim, default, date, number, currency, plural, join, url_encode",
    ),
    (
        "{{> foot name}}",
        "1:5",
        "a partial has a fixed name, and takes no values",
        "it sees the same columns as the place where it stands",
    ),
    (
        "{{> (upper name)}}",
        "1:1",
        "a partial has a fixed name, and takes no values",
        "it sees the same columns as the place where it stands",
    ),
    ("a\n{{!-- c }}", "2:1", "a tag is opened here and never closed", "close it with }}"),
    ("{{#if}}a{{/if}}", "1:4", "this is not Handlebars: {{#if}} asks about one thing", ""),
    ("{{#if x y}}a{{/if}}", "1:4", "this is not Handlebars: {{#if}} asks about one thing", ""),
];
