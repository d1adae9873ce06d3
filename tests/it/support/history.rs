//! What the processes of a fleet did, and what was done to them: one file, one line for each fact.
//!
//! Every process appends to the same file, each line with one `write`, so that lines do not mix. A
//! line is seven words:
//!
//! ```text
//! 81234567 a.2 start t3 1795220851000 1795220851004123 1
//! |        |   |     |  |             |                a word: an outcome, a decision, an answer
//! |        |   |     |  |             a number: a fencing token, a claim, a count
//! |        |   |     |  the fire time, epoch milliseconds
//! |        |   |     the task
//! |        |   what
//! |        who: a replica and which of its processes; or `*`
//! microseconds of the machine's monotonic clock, the same for all processes
//! ```

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use tasklock::{Clock, SystemClock};

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub at: u64,
    pub who: String,
    pub what: What,
    pub task: String,
    pub instant: i64,
    pub number: u64,
    pub word: String,
}

macro_rules! what {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// What a line is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum What { $($(#[$doc])* $variant,)* }

        impl What {
            pub fn as_str(self) -> &'static str {
                match self { $(What::$variant => $word,)* }
            }

            fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(What::$variant),)* _ => None }
            }
        }
    };
}

what! {
    /// A task of the fleet; the number is its period in milliseconds.
    Task = "task",
    /// A process has started its scheduler.
    Up = "up",
    /// A process has ended in order.
    Exit = "exit",
    /// A fire time was planned.
    Due = "due",
    /// A firing was decided; how many, and what.
    Decision = "decision",
    /// The lock is asked: the claim, and the operation.
    Ask = "ask",
    /// The lock has answered: the claim, and `operation:answer`.
    Answer = "answer",
    /// A run starts: its fencing token, and the attempt.
    Start = "start",
    /// A run is about to have an effect: its fencing token, and when it was polled.
    Act = "act",
    /// The resource has answered: the fencing token, and `accepted`, `refused` or `failed`.
    Effect = "effect",
    /// The run's future has been dropped: its fencing token.
    Gone = "gone",
    /// The run's end was announced: its fencing token, and the outcome.
    End = "end",
    /// A lease was lost: its fencing token, and how.
    LeaseLost = "lease_lost",
    /// A process was killed, or has killed itself.
    Kill = "kill",
    /// A process was stopped.
    Stop = "stop",
    /// A process goes on.
    Cont = "cont",
    /// From now on a replica, or all (`*`), may be cut off from the store.
    Apart = "apart",
    /// From now on it is not.
    Joined = "joined",
    /// The store has lost its data; or what was written since a moment, the number, before which
    /// nothing is forgotten.
    Loss = "loss",
    /// A fault, by its name: for the count of them.
    Fault = "fault",
    /// The last fault is over.
    Calm = "calm",
    /// The fleet is told to end.
    Finish = "finish",
    /// A lock in the store: the claim that holds it, and how many milliseconds it has left.
    Lock = "lock",
    /// What the resource has accepted, in its order: a fencing token.
    Kept = "kept",
}

impl Line {
    /// The process's replica.
    pub fn replica(&self) -> &str {
        self.who.split('.').next().unwrap_or_default()
    }

    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let line = Self {
            at: words.next()?.parse().ok()?,
            who: words.next()?.to_owned(),
            what: What::parse(words.next()?)?,
            task: words.next()?.to_owned(),
            instant: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
            word: words.next()?.to_owned(),
        };
        words.next().is_none().then_some(line)
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            at,
            who,
            what,
            task,
            instant,
            number,
            word,
        } = self;
        let what = what.as_str();
        write!(f, "{at} {who} {what} {task} {instant} {number} {word}")
    }
}

/// Appends what one process knows.
#[derive(Debug)]
pub struct History {
    file: File,
    who: String,
}

impl History {
    pub fn open(path: &Path, who: &str) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            file,
            who: who.to_owned(),
        })
    }

    /// Now, as lines have it.
    pub fn now() -> u64 {
        SystemClock.monotonic().as_micros() as u64
    }

    /// A fact about a task.
    pub fn note(&self, what: What, task: &str, instant: i64, number: u64, word: &str) {
        self.write(&self.who, what, task, instant, number, word);
    }

    /// A fact about another process, or about all.
    pub fn note_of(&self, who: &str, what: What, word: &str) {
        self.write(who, what, "-", 0, 0, word);
    }

    fn write(&self, who: &str, what: What, task: &str, instant: i64, number: u64, word: &str) {
        let line = Line {
            at: Self::now(),
            who: who.to_owned(),
            what,
            task: task.to_owned(),
            instant,
            number,
            word: word.to_owned(),
        };
        self.append(&line);
    }

    /// A line as it is.
    pub fn append(&self, line: &Line) {
        // A history that cannot be written is worth nothing: the process must not go on.
        if let Err(e) = (&self.file).write_all(format!("{line}\n").as_bytes()) {
            eprintln!("the history cannot be written: {e}");
            std::process::abort();
        }
    }
}

/// All whole lines, in the order of their times. Says how many were none: not even a process that
/// was killed leaves half of one.
pub fn read(path: &Path) -> std::io::Result<(Vec<Line>, usize)> {
    let text = std::fs::read_to_string(path)?;
    let mut broken = 0;
    let mut lines = Vec::new();
    for text in text.lines() {
        match Line::parse(text) {
            Some(line) => lines.push(line),
            None => broken += 1,
        }
    }
    lines.sort_by_key(|line| line.at);
    Ok((lines, broken))
}

#[test]
fn a_line_is_read_as_it_was_written() {
    let text = "81234567 a.2 start t3 1795220851000 1795220851004123 1";
    let line = Line::parse(text).unwrap();
    assert_eq!((line.what, line.replica()), (What::Start, "a"));
    assert_eq!(line.to_string(), text);
    assert_eq!(Line::parse(&text[..40]), None);
    assert_eq!(Line::parse(&format!("{text} 9")), None);
}
