//! What a command writes, as lines of its run's log: bounded, and without harm.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};
use tracing::info;

/// So much of the beginning is told as it comes, and so much of the end once it is over, unless the
/// command says otherwise.
pub(super) const KEPT: usize = 16 * 1024;
/// A longer line is told in parts.
const LONGEST_LINE: usize = 2 * 1024;
/// So much of the last line is in the error of a run.
const LAST_LINE: usize = 200;

/// One stream of a command.
#[derive(Debug)]
pub(super) struct Output {
    stream: &'static str,
    /// So much of the beginning is told, and so much of the end.
    kept: usize,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// How much has been told.
    told: usize,
    /// What came after that: the end of it.
    tail: VecDeque<u8>,
    /// How much was between the two, and is lost.
    left_out: u64,
    last: Vec<u8>,
}

impl Output {
    pub(super) fn new(stream: &'static str, kept: usize) -> Self {
        Self {
            stream,
            kept,
            line: Vec::new(),
            told: 0,
            tail: VecDeque::new(),
            left_out: 0,
            last: Vec::new(),
        }
    }

    /// Reads until the stream ends, whatever the command writes: it must not wait for us.
    pub(super) async fn read_all(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut buffer = vec![0; 16 * 1024];
        // One that breaks has ended.
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            self.take(buffer.get(..count).unwrap_or_default());
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while self.told < self.kept && !bytes.is_empty() {
            let room = (self.kept - self.told).min(LONGEST_LINE.saturating_sub(self.line.len()));
            let room = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
            let end = room.iter().position(|b| *b == b'\n');
            let (line, rest) = bytes.split_at(end.unwrap_or(room.len()));
            self.line.extend_from_slice(line);
            self.told += line.len();
            bytes = rest;
            if end.is_some() {
                self.told += 1;
                bytes = bytes.get(1..).unwrap_or_default();
                self.tell();
            } else if self.line.len() >= LONGEST_LINE {
                self.tell();
            }
        }
        // Of more than is kept the beginning need not be copied.
        let skipped = bytes.len().saturating_sub(self.kept);
        let kept = bytes.get(skipped..).unwrap_or_default();
        self.tail.extend(kept);
        let surplus = self.tail.len().saturating_sub(self.kept);
        self.tail.drain(..surplus);
        self.left_out += (skipped + surplus) as u64;
    }

    /// The stream has ended: tells its end.
    pub(super) fn finish(&mut self) {
        if self.left_out > 0 {
            if !self.line.is_empty() {
                self.tell();
            }
            let stream = self.stream;
            info!(target: "tasklock::shell", stream, bytes = self.left_out, "Output left out");
        }
        let tail = std::mem::take(&mut self.tail);
        for byte in tail {
            match byte {
                b'\n' => self.tell(),
                _ => self.line.push(byte),
            }
            if self.line.len() >= LONGEST_LINE {
                self.tell();
            }
        }
        if !self.line.is_empty() {
            self.tell();
        }
    }

    fn tell(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = contained(&line);
        info!(target: "tasklock::shell", stream = self.stream, "{text}");
        if !line.iter().all(u8::is_ascii_whitespace) {
            self.last = line;
        }
    }

    /// The last line that says something, of an end that was told.
    pub(super) fn last_line(&self) -> String {
        contained(&self.last).chars().take(LAST_LINE).collect()
    }
}

/// A line as text that does nothing to whoever shows it.
fn contained(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut contained = String::with_capacity(text.len());
    for c in text.trim_end_matches('\r').chars() {
        // Marks that turn the direction of text hide what it says.
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c {
            '\t' => contained.push(c),
            c if c.is_control() || turns => contained.extend(c.escape_default()),
            c => contained.push(c),
        }
    }
    contained
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(parts: &[&[u8]]) -> Output {
        let mut output = Output::new("stdout", KEPT);
        for part in parts {
            output.take(part);
        }
        output
    }

    #[test]
    fn lines_that_come_in_parts_are_whole() {
        let output = after(&[b"one\ntw", b"o\nthr"]);
        assert_eq!(output.last, b"two");
        assert_eq!(output.line, b"thr");
    }

    #[test]
    fn much_output_takes_little_room() {
        let mut output = after(&vec![&[b'x'; 100_000][..]; 1_000]);
        assert!(output.line.capacity() <= 2 * LONGEST_LINE);
        assert!(output.tail.capacity() <= 4 * KEPT);
        assert_eq!(output.left_out, 100_000_000 - 2 * KEPT as u64);
        output.finish();
        assert!(output.last.len() <= LONGEST_LINE);
    }

    #[test]
    fn what_is_no_text_does_nothing_to_a_terminal() {
        let text = contained(b"\x1b[31mred\x07 \xff\xfe\0 \xe2\x80\xae\tok\r");
        assert_eq!(
            text,
            "\\u{1b}[31mred\\u{7} \u{fffd}\u{fffd}\\u{0} \\u{202e}\tok"
        );
    }
}
