//! Texts of strangers, made fit to be kept and shown.

/// A text without characters that change how others are shown (control characters but for ends of
/// lines and tabs, marks of direction), which are escaped, and cut to about `most` bytes. No more of
/// it is looked at than is kept.
pub(crate) fn contained(text: &str, most: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        if kept.len() + c.len_utf8() > most {
            kept.push('…');
            break;
        }
        match c {
            '\n' | '\t' => kept.push(c),
            c if changes_others(c) => kept.extend(c.escape_unicode()),
            c => kept.push(c),
        }
    }
    kept
}

/// The same on one line: its ends are escaped too.
pub(crate) fn contained_line(text: &str, most: usize) -> String {
    let kept = contained(text, most);
    match kept.contains(['\n', '\t']) {
        true => kept.replace('\n', "\\n").replace('\t', " "),
        false => kept,
    }
}

fn changes_others(c: char) -> bool {
    let marks = ['\u{200e}', '\u{200f}', '\u{61c}', '\u{2028}', '\u{2029}'];
    c.is_control()
        || marks.contains(&c)
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_change_others_are_escaped() {
        for (text, kept) in [
            ("plain ä 漢", "plain ä 漢"),
            ("two\nlines\tand", "two\nlines\tand"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\r\u{0}b", "a\\u{d}\\u{0}b"),
            ("x\u{202e}cod.exe", "x\\u{202e}cod.exe"),
        ] {
            assert_eq!(contained(text, 100), kept);
        }
        assert_eq!(contained_line("a\nb\tc", 100), "a\\nb c");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(contained(&"ä".repeat(1_000_000), 5), "ää…");
        let kept = contained(&"\u{1b}".repeat(1_000_000), 100);
        assert!(kept.len() < 120, "{}", kept.len());
        assert_eq!(contained("", 5), "");
    }
}
