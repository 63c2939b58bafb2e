//! The helpers that give a value. What comes out of them is escaped for where it stands, like a cell.

use std::sync::Arc;

use handlebars::{
    BlockContext, Context, Handlebars, Helper, HelperDef, PathAndJson, RenderContext, RenderError, RenderErrorReason,
    ScopedJson,
};
use serde_json::Value;

use super::{
    in_html::percent_encoded,
    language::{DateStyle, Language},
};
use crate::{
    campaign::{ColumnType, column_type},
    diagnostic::quoted,
    recipients::{Columns, as_number, iso_date},
};

/// What a helper is called, takes and does.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// How many parameters it has at least and at most.
    pub(super) parameters: (usize, usize),
    /// The names of further ones, as in `sep=", "`.
    pub(super) named: &'static [&'static str],
    /// Whether it shows its first parameter, so that a cell there must be filled in.
    pub(super) shows: bool,
}

const fn kind(name: &'static str, least: usize, most: usize, named: &'static [&'static str], shows: bool) -> Kind {
    Kind { name, parameters: (least, most), named, shows }
}

/// So many of them are Handlebars' own.
const NATIVE: usize = 5;

/// All of them; `eq`, `ne`, `and`, `or` and `not` are Handlebars' own.
pub(super) const HELPERS: &[Kind] = &[
    kind("eq", 2, 2, &[], false),
    kind("ne", 2, 2, &[], false),
    kind("and", 1, 16, &[], false),
    kind("or", 1, 16, &[], false),
    kind("not", 1, 1, &[], false),
    kind("upper", 1, 1, &[], true),
    kind("lower", 1, 1, &[], true),
    kind("title", 1, 1, &[], true),
    kind("trim", 1, 1, &[], true),
    kind("default", 2, 2, &[], false),
    kind("date", 1, 2, &[], true),
    kind("number", 1, 2, &[], true),
    kind("currency", 2, 2, &[], true),
    kind("plural", 1, 3, &["zero", "one", "two", "few", "many", "other"], true),
    kind("join", 1, 16, &["sep", "last"], false),
    kind("url_encode", 1, 1, &[], true),
];

/// The names of all helpers.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    HELPERS.iter().map(|helper| helper.name)
}

/// The helper of a name.
pub(super) fn find(name: &str) -> Option<&'static Kind> {
    HELPERS.iter().find(|helper| helper.name == name)
}

/// Whether a helper leaves its name to a column where it stands alone.
pub(super) fn gives_way(name: &str) -> bool {
    HELPERS.iter().skip(NATIVE).any(|helper| helper.name == name)
}

/// What the helpers of a template know.
#[derive(Debug)]
pub(super) struct Knowledge {
    pub(super) language: Language,
    pub(super) columns: Columns,
}

/// Adds the helpers that are ours.
pub(super) fn register(registry: &mut Handlebars<'static>, knowledge: &Arc<Knowledge>) {
    for helper in HELPERS.iter().skip(NATIVE) {
        registry.register_helper(helper.name, Box::new(Ours { helper: helper.name, knowledge: Arc::clone(knowledge) }));
    }
}

/// One of the helpers.
struct Ours {
    helper: &'static str,
    knowledge: Arc<Knowledge>,
}

impl HelperDef for Ours {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        call: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rendering: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        // A column may be called like a helper, which alone has nothing to work on.
        if call.params().is_empty() && call.hash().is_empty() {
            let in_loop = |block: &BlockContext<'_>| block.base_value().is_some() || !block.base_path().is_empty();
            return match context.data().get(self.helper) {
                // Handlebars would parse the path each time.
                Some(value) if !rendering.block().is_some_and(in_loop) => Ok(ScopedJson::Context(value, Vec::new())),
                _ => rendering.evaluate(context, &format!("./{}", self.helper)),
            };
        }
        let value = self.value(call).map_err(|why| RenderError::from(RenderErrorReason::Other(why)))?;
        Ok(ScopedJson::Derived(Value::String(value)))
    }
}

impl Ours {
    fn value(&self, call: &Helper<'_>) -> Result<String, String> {
        let text = |nth: usize| call.param(nth).map(|parameter| shown(parameter.value())).unwrap_or_default();
        let first = text(0);
        let language = &self.knowledge.language;
        // Nothing stays nothing; that a cell must be filled in is said elsewhere.
        if first.is_empty() && !matches!(self.helper, "default" | "join") {
            return Ok(String::new());
        }
        Ok(match self.helper {
            "upper" => first.to_uppercase(),
            "lower" => first.to_lowercase(),
            "title" => title(&first),
            "trim" => first.trim().to_owned(),
            "default" if first.trim().is_empty() => text(1),
            "default" => first,
            "date" => {
                let style = if call.param(1).is_some() { text(1) } else { "long".into() };
                let when = self.moment(call, &first).ok_or_else(|| {
                    format!(
                        "{} is not a date like 2026-11-24; a column of dates in a format needs a type",
                        quoted(&first)
                    )
                })?;
                let written = match style.parse::<DateStyle>() {
                    Ok(style) => language.date(when.date(), style),
                    Err(()) => column_type::written(when, &style),
                };
                written.ok_or_else(|| format!("{} is no way to write a date", quoted(&style)))?
            }
            "number" => {
                let decimals = match call.param(1) {
                    Some(decimals) => Some(
                        shown(decimals.value())
                            .parse::<u8>()
                            .ok()
                            .filter(|decimals| *decimals <= 20)
                            .ok_or_else(|| format!("{} is no number of decimals", quoted(&text(1))))?,
                    ),
                    None => None,
                };
                language.number(&number(&first)?, decimals).ok_or_else(|| not_a_number(&first))?
            }
            "currency" => {
                let code = text(1);
                if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
                    return Err(format!("{} is no currency; write a code such as \"EUR\"", quoted(&code)));
                }
                language.currency(&number(&first)?, &code).ok_or_else(|| not_a_number(&first))?
            }
            "plural" => plural(call, language, &first)?,
            "join" => join(call)?,
            "url_encode" => percent_encoded(&first),
            other => return Err(format!("there is no helper {other}")),
        })
    }

    /// The moment that a cell says: in the format of its column, or as ISO 8601 has it.
    fn moment(&self, call: &Helper<'_>, text: &str) -> Option<jiff::civil::DateTime> {
        let name = call.param(0).and_then(|parameter| parameter.relative_path()).map_or("", String::as_str);
        let name = name.trim_start_matches("../").trim_start_matches("./").trim_start_matches("this.");
        let columns = &self.knowledge.columns;
        let column = columns.names().position(|column| column == name);
        match column.map(|column| columns.kind(column)) {
            Some(ColumnType::Date(Some(format))) => column_type::read(text, format),
            _ => iso_date(text),
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn not_a_number(text: &str) -> String {
    format!("{} is not a number", quoted(text))
}

/// Digits and a decimal point.
fn number(cell: &str) -> Result<String, String> {
    as_number(cell).ok_or_else(|| {
        format!("{} is not a number, or not one that can be read in only one way: write it like 1234.50", quoted(cell))
    })
}

/// The first letter of each word in upper case, all others in lower case.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins {
            titled.extend(c.to_uppercase());
        } else {
            titled.extend(c.to_lowercase());
        }
        begins = c.is_whitespace() || matches!(c, '-' | '\u{2010}' | '\u{2011}' | '/' | '(');
    }
    titled
}

/// The form of a word that goes with a number: two words for one and for more, or named forms, in which `#` is the
/// number.
fn plural(call: &Helper<'_>, language: &Language, text: &str) -> Result<String, String> {
    let number = number(text)?;
    let form = language.plural(&number).ok_or_else(|| not_a_number(text))?;
    if let (Some(one), Some(other)) = (call.param(1), call.param(2)) {
        return Ok(shown(if form == "one" { one } else { other }.value()));
    }
    let named = call.hash_get(form).or_else(|| call.hash_get("other"));
    let named = named.ok_or("plural needs two words, or other=\"…\"")?;
    let written = language.number(&number, None).unwrap_or(number);
    Ok(shown(named.value()).replace('#', &written))
}

/// What is not empty, with something in between: values, or one column of all rows of a person.
fn join(call: &Helper<'_>) -> Result<String, String> {
    let values: Vec<String> = match call.param(0).map(PathAndJson::value) {
        Some(Value::Array(rows)) => {
            let column = call.param(1).map(|column| shown(column.value())).unwrap_or_default();
            if rows.iter().any(|row| row.get(&column).is_none()) {
                return Err(format!("there is no column {}", quoted(&column)));
            }
            rows.iter().filter_map(|row| row.get(&column)).map(shown).collect()
        }
        _ => call.params().iter().map(|parameter| shown(parameter.value())).collect(),
    };
    let values: Vec<String> = values.into_iter().filter(|value| !value.trim().is_empty()).collect();
    let named = |name: &str| call.hash_get(name).map(|value| shown(value.value()));
    let between = named("sep").unwrap_or_else(|| ", ".into());
    Ok(match (values.split_last(), named("last")) {
        (Some((last, before)), Some(before_last)) if !before.is_empty() => {
            format!("{}{before_last}{last}", before.join(&between))
        }
        _ => values.join(&between),
    })
}
