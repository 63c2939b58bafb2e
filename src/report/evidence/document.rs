//! A report as a document: sections of facts and tables, which are written as text and as HTML.

/// A report.
#[derive(Debug, Clone, Default)]
pub(super) struct Document {
    pub(super) title: String,
    /// What the report is about, in short.
    pub(super) subtitle: String,
    /// At the foot of each page.
    pub(super) foot: String,
    /// What must be said before anything else.
    pub(super) alarms: Vec<String>,
    pub(super) sections: Vec<Section>,
}

/// A part of it, below a heading.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    pub(super) heading: String,
    pub(super) blocks: Vec<Block>,
}

/// What stands in a section.
#[derive(Debug, Clone)]
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// Names, and what is said of each, in one line or several.
    Facts(Vec<(&'static str, Vec<String>)>),
    /// Columns, and rows of cells. A row whose first cell is empty belongs to the one above.
    Table(Table),
    /// Something that only a person can answer.
    Asked(&'static str),
    /// Here stand the messages.
    Messages,
}

/// Each row has as many cells as the head.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
    /// Whether the last row is the sum of the others.
    pub(super) has_sum: bool,
}

impl Section {
    pub(super) fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), blocks: Vec::new() }
    }

    pub(super) fn text(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    pub(super) fn asked(mut self, question: &'static str) -> Self {
        self.blocks.push(Block::Asked(question));
        self
    }

    /// What only a person can answer.
    pub(super) fn questions(&self) -> Vec<&'static str> {
        let asked = |block: &Block| if let Block::Asked(question) = block { Some(*question) } else { None };
        self.blocks.iter().filter_map(asked).collect()
    }

    pub(super) fn facts(mut self, facts: Facts) -> Self {
        if !facts.0.is_empty() {
            self.blocks.push(Block::Facts(facts.0));
        }
        self
    }

    pub(super) fn table(mut self, table: Table) -> Self {
        if !table.rows.is_empty() {
            self.blocks.push(Block::Table(table));
        }
        self
    }

    pub(super) fn messages(mut self) -> Self {
        self.blocks.push(Block::Messages);
        self
    }
}

/// Names, and what is said of each.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts(Vec<(&'static str, Vec<String>)>);

impl Facts {
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, vec![value.into()]));
        self
    }

    /// The same, if there is something to say.
    pub(super) fn with_some(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The same in several lines, if there are any.
    pub(super) fn with_lines(mut self, name: &'static str, lines: Vec<String>) -> Self {
        if !lines.is_empty() {
            self.0.push((name, lines));
        }
        self
    }
}
