//! What is in a tag, as far as handlebars.js reads it otherwise than the Rust crate: that is refused.

use std::ops::Range;

use super::{
    TemplateProblem,
    tags::{Kind, Tag, Wrong, quoted_length},
};
use crate::{
    diagnostic::{quoted, visible},
    recipients::Columns,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Equals,
    Bar,
    Text,
    Word,
}

/// The tokens of a tag, and where they stand in the template.
fn tokens(text: &str, inner: Range<usize>) -> Vec<(Token, Range<usize>)> {
    let mut tokens = Vec::new();
    let mut at = inner.start;
    while let Some(c) = text[at..inner.end].chars().next() {
        let rest = &text[at..inner.end];
        let (token, length) = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '=' => (Token::Equals, 1),
            '|' => (Token::Bar, 1),
            '"' | '\'' => (Token::Text, quoted_length(rest, c).unwrap_or(rest.len())),
            _ => (Token::Word, word_length(rest)),
        };
        tokens.push((token, at..at + length));
        at += length;
    }
    tokens
}

fn word_length(text: &str) -> usize {
    let mut within = false;
    text.find(|c: char| {
        within = within && c != ']' || c == '[';
        !within && (c.is_whitespace() || "()=|\"'".contains(c))
    })
    .unwrap_or(text.len())
}

/// What handlebars.js does not read, or reads otherwise.
pub(super) fn check(text: &str, tag: &Tag) -> Result<(), Wrong> {
    if matches!(tag.kind, Kind::Comment | Kind::Raw | Kind::Else) {
        return Ok(());
    }
    let tokens = tokens(text, tag.inner.clone());
    let written = |nth: usize| tokens.get(nth).map_or("", |(_, place): &(_, Range<usize>)| &text[place.clone()]);
    let is = |nth: usize, token: Token| tokens.get(nth).is_some_and(|(found, _)| *found == token);
    // Whether named values have begun, at each depth of brackets.
    let mut named = vec![false];
    for (nth, (token, place)) in tokens.iter().enumerate() {
        let wrong = |why: String, instead: &str| Err((place.clone(), TemplateProblem::unlike(why, instead)));
        let word = written(nth);
        let begins = nth == 0 || is(nth - 1, Token::Open);
        let value = nth > 0 && is(nth - 1, Token::Equals);
        let key = is(nth + 1, Token::Equals);
        match token {
            Token::Text if begins && tag.kind != Kind::Partial => {
                let name = Columns::name_for(word.trim_matches(['"', '\'']));
                return wrong(
                    format!("a tag begins with a name, and {word} is a text"),
                    &format!("without quotation marks it is {name}"),
                );
            }
            Token::Open if nth == 0 && tag.kind != Kind::Partial => {
                return wrong("a tag begins with a name, and not with a bracket".into(), "take the brackets away");
            }
            // handlebars.js keeps it, the crate reads it as JSON does.
            Token::Text if word.replace(if word.starts_with('"') { "\\\"" } else { "\\'" }, "").contains('\\') => {
                return wrong(
                    format!("a backslash in {} has no meaning in Handlebars", visible(word)),
                    "leave it out; it only stands before a quotation mark",
                );
            }
            Token::Word => {
                if is(nth + 1, Token::Open) && text[place.end..].starts_with('(')
                    || is(nth + 1, Token::Text) && text[place.end..].starts_with(['"', '\''])
                {
                    return wrong(format!("there is no space behind {}", quoted(word)), "write one");
                }
                word_alike(word, begins, tag.kind).map_err(|problem| (place.clone(), problem))?;
            }
            _ => {}
        }
        match token {
            Token::Open => named.push(false),
            Token::Close => {
                named.pop();
            }
            _ => {}
        }
        if let Some(named) = named.last_mut()
            && matches!(token, Token::Word | Token::Text)
        {
            if key {
                *named = true;
            } else if *named && !value && word != "as" && !is(nth.wrapping_sub(1), Token::Bar) {
                return wrong(
                    format!("{word} stands behind a value with a name"),
                    "values without a name come first, as in {{join first last sep=\" \"}}",
                );
            }
        }
    }
    Ok(())
}

/// Whether a word is one, and means the same, in handlebars.js.
fn word_alike(word: &str, begins: bool, kind: Kind) -> Result<(), TemplateProblem> {
    if word.contains('~') {
        let instead = "write it right behind {{ or before }}";
        return Err(TemplateProblem::unlike(format!("there is no tilde in {}", quoted(word)), instead));
    }
    let (path, last) = word.rsplit_once(['.', '/']).map_or((None, word), |(path, last)| (Some(path), last));
    let digits = last.strip_prefix('-').unwrap_or(last);
    let number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == 'E' || c == '-');
    let decimal = number && path.is_some_and(|path| path.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()));
    let plain = number && !digits.contains(['E', '-']) && (digits == "0" || !digits.starts_with('0')) && last != "-0";
    if decimal || path.is_none() && number && !(plain && digits.len() <= 15) {
        return Err(TemplateProblem::unlike(
            format!("{word} is not a whole number as Handlebars writes it"),
            format!("put it in quotation marks: \"{word}\""),
        ));
    }
    // Behind a dot or a stroke, handlebars.js reads them as what they say, and not as names.
    let literal = number || matches!(last, "true" | "false" | "null" | "undefined");
    if path.is_some() && literal && kind != Kind::Partial {
        return Err(TemplateProblem::unlike(
            format!("{} cannot be a name here", quoted(last)),
            "give the column another",
        ));
    }
    if kind == Kind::Partial {
        let mut parts = word.split(['.', '/']);
        let odd = parts.any(str::is_empty) || word.split(['.', '/']).skip(1).any(|part| part == "this");
        if odd || path.is_some() && literal || word == "undefined" {
            return Err(TemplateProblem::PartialName(word.to_owned()));
        }
    } else if !begins && word == "undefined" {
        return Err(TemplateProblem::unlike("\"undefined\" stands for nothing", "give the column another name"));
    }
    if begins && kind == Kind::Value && word.starts_with("else") && word != "else" {
        // The crate takes it for `{{else where}}`.
        return Err(TemplateProblem::unlike(
            format!("{{{{{word}}}}} cannot be told from an else"),
            format!("write {{{{this.{word}}}}}"),
        ));
    }
    Ok(())
}
