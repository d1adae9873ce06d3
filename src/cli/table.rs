//! Tables for people.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cli::terminal::{Colour, Terminal};
use crate::text::contained_line;

/// What a column is never made narrower than.
const LEAST: usize = 4;
/// What a column needs to be of use, if it has so much.
const LEGIBLE: usize = 16;
/// The longest text of a cell, in bytes.
const LONGEST: usize = 512;
const GAP: &str = "  ";

/// Rows under heads, in columns.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    heads: [&'static str; N],
    rows: Vec<[Cell; N]>,
    /// Heads of the columns that are left out where there is little room, the first one first.
    less: &'static [&'static str],
}

/// One text of a table, whoever wrote it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    colour: Colour,
}

impl Cell {
    /// A word whose colour says the same as it.
    pub(crate) fn word(text: &str) -> Self {
        Self {
            text: contained_line(text, LONGEST),
            colour: Colour::of(text),
        }
    }

    pub(crate) fn in_colour(mut self, colour: Colour) -> Self {
        self.colour = colour;
        self
    }
}

/// A text; `-` for one that says nothing.
impl<S: AsRef<str>> From<S> for Cell {
    fn from(text: S) -> Self {
        let text = match text.as_ref() {
            "" => "-".to_owned(),
            text => contained_line(text, LONGEST),
        };
        Self {
            text,
            colour: Colour::None,
        }
    }
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(heads: [&'static str; N]) -> Self {
        Self {
            heads,
            rows: Vec::new(),
            less: &[],
        }
    }

    /// Leaves these columns out where there is little room, the first one first.
    pub(crate) fn without(mut self, less: &'static [&'static str]) -> Self {
        self.less = less;
        self
    }

    pub(crate) fn row(&mut self, cells: [Cell; N]) {
        self.rows.push(cells);
    }

    /// The lines, none of them wider than the terminal: some columns are left out, and the widest cut.
    pub(crate) fn render(&self, terminal: &Terminal) -> String {
        let mut widths = self.heads.map(UnicodeWidthStr::width);
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let mut is_shown = [true; N];
        if let Some(most) = terminal.width {
            for left_out in self.less {
                let shown = widths
                    .iter()
                    .zip(is_shown)
                    .filter(|(_, is_shown)| *is_shown);
                let least: usize = shown
                    .map(|(width, _)| GAP.len() + (*width).min(LEGIBLE))
                    .sum();
                if least <= most + GAP.len() {
                    break;
                }
                for (head, is_shown) in self.heads.iter().zip(&mut is_shown) {
                    *is_shown &= head != left_out;
                }
            }
            for (width, is_shown) in widths.iter_mut().zip(is_shown) {
                *width = if is_shown { *width } else { 0 };
            }
            let gaps = is_shown
                .iter()
                .filter(|is_shown| **is_shown)
                .count()
                .saturating_sub(1);
            narrow(&mut widths, most.saturating_sub(GAP.len() * gaps));
        }
        let heads = self.heads.map(|head| Cell {
            text: head.to_owned(),
            colour: Colour::Dim,
        });
        let mut text = String::new();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            let mut blanks = 0;
            let shown = row.iter().zip(widths).zip(is_shown);
            for ((cell, width), _) in shown.filter(|(_, is_shown)| *is_shown) {
                line.extend(std::iter::repeat_n(' ', blanks));
                let shown = cut(&cell.text, width);
                blanks = width.saturating_sub(shown.width()) + GAP.len();
                line.push_str(&terminal.paint(cell.colour, &shown));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Makes the widest columns narrower until all of them have room.
fn narrow(widths: &mut [usize], room: usize) {
    while widths.iter().sum::<usize>() > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > LEAST => *widest -= 1,
            _ => return,
        }
    }
}

/// A text in so many columns.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(width: Option<usize>, has_colour: bool) -> String {
        let mut table = Table::new(["HEALTH", "NAME", "LAST"]);
        table.row([Cell::word("failing"), "invoices.sync".into(), "".into()]);
        table.row([
            Cell::word("healthy"),
            "漢字漢字漢字漢字漢字".into(),
            "4s\u{1b}[2J".into(),
        ]);
        table.render(&Terminal { width, has_colour })
    }

    #[test]
    fn columns_stand_under_each_other_and_strangers_change_nothing() {
        assert_eq!(
            table(None, false),
            "HEALTH   NAME                  LAST\n\
             failing  invoices.sync         -\n\
             healthy  漢字漢字漢字漢字漢字  4s\\u{1b}[2J\n"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let text = table(Some(30), false);
        for line in text.lines() {
            assert!(line.width() <= 30, "{line}");
        }
        assert!(text.contains('…') && text.contains("invoice"), "{text}");
    }

    #[test]
    fn columns_that_say_less_are_left_out_where_there_is_no_room() {
        let mut table = Table::new(["NAME", "ZONE", "LAST"]).without(&["ZONE", "LAST"]);
        table.row([
            "invoices.sync".into(),
            "Europe/Berlin".into(),
            "4s ago".into(),
        ]);
        let at = |width| {
            let terminal = Terminal {
                width,
                has_colour: false,
            };
            table.render(&terminal).lines().next().unwrap().to_owned()
        };
        assert_eq!(at(Some(40)), "NAME           ZONE           LAST");
        assert_eq!(at(Some(30)), "NAME           LAST");
        assert_eq!(at(Some(15)), "NAME");
    }

    #[test]
    fn a_colour_says_what_the_word_says() {
        let text = table(None, true);
        assert!(text.contains("\u{1b}[31mfailing\u{1b}[0m"), "{text}");
        assert!(text.contains("\u{1b}[32mhealthy\u{1b}[0m"), "{text}");
    }
}
