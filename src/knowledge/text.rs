//! From a file's text to chunks: pieces of a few sentences, each with the headings above it and its place. Markdown is read by
//! `pulldown-cmark`; plain text and the pages of a PDF by their paragraphs.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use unicode_segmentation::UnicodeSegmentation;

/// Characters of a chunk at most: some three spoken sentences, so that a few of them fit into a prompt.
const CHUNK_CHARS: usize = 480;
/// Chunks of one file: a book has some 2,000.
const CHUNKS_MOST: usize = 20_000;

/// A piece of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The headings above it, outermost first, with ` > ` between them.
    pub heading: String,
    /// From 1, in files without pages.
    pub line: Option<u32>,
    /// From 1, in files with pages.
    pub page: Option<u32>,
    pub text: String,
}

/// The chunks of a text; `markdown` says how it is written.
pub fn chunks_of(text: &str, markdown: bool) -> Vec<Chunk> {
    let blocks = if markdown { Reading::of(text).blocks } else { paragraphs(text) };
    gather(blocks)
}

/// The chunks of a file of pages.
pub fn chunks_of_pages(pages: &[String]) -> Vec<Chunk> {
    let mut all = Vec::new();
    for (page, text) in (1_u32..).zip(pages) {
        let paged = |chunk| Chunk { line: None, page: Some(page), ..chunk };
        all.extend(gather(paragraphs(text)).into_iter().map(paged));
    }
    all.truncate(CHUNKS_MOST);
    all
}

/// A paragraph, an item of a list, a row of a table.
#[derive(Debug, Default)]
struct Block {
    heading: String,
    line: u32,
    text: String,
}

/// Neighbours under one heading become one chunk while they fit; what is longer than a chunk is cut between sentences.
fn gather(blocks: Vec<Block>) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for block in blocks {
        let fits = |last: &&mut Chunk| {
            last.heading == block.heading && last.text.chars().count() + block.text.chars().count() < CHUNK_CHARS
        };
        match chunks.last_mut().filter(fits) {
            Some(last) => {
                last.text.push(' ');
                last.text.push_str(&block.text);
            }
            None => {
                let piece = |text| Chunk { heading: block.heading.clone(), line: Some(block.line), page: None, text };
                chunks.extend(pieces(&block.text).into_iter().map(piece));
            }
        }
        if chunks.len() >= CHUNKS_MOST {
            break;
        }
    }
    chunks.truncate(CHUNKS_MOST);
    chunks
}

fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for sentence in text.split_sentence_bounds() {
        let letters: Vec<char> = sentence.chars().collect();
        for part in letters.chunks(CHUNK_CHARS) {
            let full = pieces.last().is_none_or(|last| last.chars().count() + part.len() > CHUNK_CHARS);
            if full {
                pieces.push(String::new());
            }
            if let Some(last) = pieces.last_mut() {
                last.extend(part);
            }
        }
    }
    pieces.iter().map(|piece| piece.trim().to_owned()).filter(|piece| !piece.is_empty()).collect()
}

/// What empty lines part.
fn paragraphs(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (line, said) in (1_u32..).zip(text.lines()) {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        if said.is_empty() {
            open = false;
        } else if let Some(last) = blocks.last_mut().filter(|_| open) {
            last.text.push(' ');
            last.text.push_str(&said);
        } else {
            open = true;
            blocks.push(Block { heading: String::new(), line, text: said });
        }
    }
    blocks
}

/// Markdown being read, event by event.
struct Reading<'a> {
    source: &'a str,
    /// The line of the last block's first byte, and that byte: lines are counted on from there.
    counted: (usize, u32),
    headings: Vec<(HeadingLevel, String)>,
    /// The text of what is open, and where it began.
    text: String,
    began: usize,
    /// The head of the open table, and the cells of its open row.
    columns: Vec<String>,
    cells: Vec<String>,
    blocks: Vec<Block>,
}

impl<'a> Reading<'a> {
    fn of(source: &'a str) -> Self {
        let mut reading = Self {
            source,
            counted: (0, 1),
            headings: Vec::new(),
            text: String::new(),
            began: 0,
            columns: Vec::new(),
            cells: Vec::new(),
            blocks: Vec::new(),
        };
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS
            // A head between dashes says something about the file, not in it.
            | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
        for (event, place) in Parser::new_ext(source, options).into_offset_iter() {
            reading.take(event, &place);
        }
        reading.close();
        reading
    }

    fn take(&mut self, event: Event<'_>, place: &Range<usize>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                self.close();
                self.headings.retain(|(above, _)| *above < level);
            }
            Event::End(TagEnd::Heading(level)) => {
                let heading = one_line(&std::mem::take(&mut self.text));
                self.headings.push((level, heading));
            }
            Event::End(TagEnd::MetadataBlock(_)) => self.text.clear(),
            Event::Start(Tag::Paragraph | Tag::Item | Tag::CodeBlock(_) | Tag::BlockQuote(_)) => self.close(),
            Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::CodeBlock | TagEnd::BlockQuote(_)) => self.close(),
            Event::Start(Tag::Table(_)) => {
                self.close();
                self.columns.clear();
            }
            Event::Start(Tag::TableRow | Tag::TableHead) => self.cells.clear(),
            Event::End(TagEnd::TableCell) => self.cells.push(one_line(&std::mem::take(&mut self.text))),
            Event::End(TagEnd::TableHead) => self.columns = std::mem::take(&mut self.cells),
            Event::End(TagEnd::TableRow) => self.close_row(place),
            Event::Text(text) | Event::Code(text) => self.push(&text, place),
            Event::SoftBreak | Event::HardBreak => self.push(" ", place),
            // Raw HTML, rules and pictures say nothing.
            _ => {}
        }
    }

    fn push(&mut self, text: &str, place: &Range<usize>) {
        if self.text.is_empty() {
            self.began = place.start;
        }
        self.text.push_str(text);
    }

    /// A row is read with the names of its columns: `Certificate: sick note; price: 18 pounds.`
    fn close_row(&mut self, place: &Range<usize>) {
        let cells = std::mem::take(&mut self.cells);
        let named = cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()).map(|(n, cell)| {
            match self.columns.get(n).filter(|column| !column.is_empty()) {
                Some(column) => format!("{column}: {cell}"),
                None => cell.clone(),
            }
        });
        self.text = named.collect::<Vec<_>>().join("; ");
        if !self.text.is_empty() {
            self.text.push('.');
        }
        self.began = place.start;
        self.close();
    }

    /// What is open is a block.
    fn close(&mut self) {
        let text = one_line(&std::mem::take(&mut self.text));
        if text.is_empty() {
            return;
        }
        let line = self.line_of(self.began);
        let heading = self.headings.iter().map(|(_, heading)| heading.as_str()).collect::<Vec<_>>().join(" > ");
        self.blocks.push(Block { heading, line, text });
    }

    fn line_of(&mut self, byte: usize) -> u32 {
        let (from, line) = self.counted;
        if byte > from {
            let more = self.source.as_bytes()[from..byte].iter().filter(|byte| **byte == b'\n').count();
            self.counted = (byte, line.saturating_add(u32::try_from(more).unwrap_or(u32::MAX)));
        }
        self.counted.1
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: &str = "# Prices\n\nPaid at the desk.\n\n## Certificates\n\n| What | Price |\n|---|---|\n| Sick note | 18 pounds |\n| Travel | 25 pounds |\n\n## Copies\n\n- One page is *free*.\n- More: ask\n  at the [desk](x).\n";

    #[test]
    fn markdown_is_cut_under_its_headings_with_its_lines() {
        let chunks = chunks_of(PRICES, true);
        let told: Vec<(&str, Option<u32>, &str)> =
            chunks.iter().map(|chunk| (chunk.heading.as_str(), chunk.line, chunk.text.as_str())).collect();
        assert_eq!(
            told,
            [
                ("Prices", Some(3), "Paid at the desk."),
                (
                    "Prices > Certificates",
                    Some(9),
                    "What: Sick note; Price: 18 pounds. What: Travel; Price: 25 pounds."
                ),
                ("Prices > Copies", Some(14), "One page is free. More: ask at the desk."),
            ]
        );
    }

    #[test]
    fn no_chunk_is_longer_than_it_may_be_and_no_word_is_lost() {
        let sentence = "The surgery has a car park behind the house for eleven cars. ";
        for text in [sentence.repeat(40), "x".repeat(2_000), "\u{95e8}".repeat(1_500)] {
            let chunks = chunks_of(&text, false);
            assert!(chunks.iter().all(|chunk| chunk.text.chars().count() <= CHUNK_CHARS));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
            assert_eq!(chunks.iter().map(|chunk| letters(&chunk.text)).sum::<usize>(), letters(&text));
        }
    }

    #[test]
    fn paragraphs_of_plain_text_and_pages_know_where_they_stand() {
        let chunks = chunks_of("first\nline\n\n\nsecond", false);
        assert_eq!((chunks[0].text.as_str(), chunks[0].line), ("first line second", Some(1)));
        let pages = chunks_of_pages(&["one".into(), String::new(), "three".into()]);
        assert_eq!(pages.iter().map(|chunk| chunk.page).collect::<Vec<_>>(), [Some(1), Some(3)]);
    }
}
