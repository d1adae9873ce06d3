//! Odd specs by the thousand, to find those that are slow to parse or to search.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tasklock::chrono::{DateTime, Utc};
use tasklock::chrono_tz::{TZ_VARIANTS, Tz};
use tasklock::{DstPolicy, Schedule};

mod specs;

use specs::Random;

type Anything = Box<dyn Error + Send + Sync>;

/// What no spec may take for a parse and one search.
const LIMIT: Duration = Duration::from_millis(1);
const SHOWN: usize = 10;
const FIRST: i64 = -2_208_988_800; // 1900-01-01T00:00:00Z
const LAST: i64 = 7_258_118_400; // 2200-01-01T00:00:00Z

fn main() -> Result<ExitCode, Anything> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [count] = args.as_slice() else {
        return Err("usage: schedule_worst SPECS".into());
    };
    let count: usize = count.parse()?;
    let mut random = Random::new();
    let mut slowest: Vec<(Duration, String)> = Vec::new();
    let (mut refused, mut never) = (0, 0);
    for _ in 0..count {
        let search = Search::any(&mut random);
        let (took, found) = search.measure();
        match found {
            None => refused += 1,
            Some(None) => never += 1,
            Some(Some(_)) => {}
        }
        slowest.push((took, search.text()));
        if slowest.len() > 1_000 {
            keep(&mut slowest);
        }
    }
    keep(&mut slowest);
    for (took, search) in &slowest {
        println!("{:9.1} us  {search}", took.as_secs_f64() * 1e6);
    }
    let worst = slowest.first().map_or(Duration::ZERO, |s| s.0);
    println!(
        "{{\"work\":\"schedule_worst\",\"specs\":{count},\"refused\":{refused},\
         \"without_next\":{never},\"max_us\":{:.1}}}",
        worst.as_secs_f64() * 1e6
    );
    Ok(ExitCode::from(u8::from(worst > LIMIT)))
}

fn keep(slowest: &mut Vec<(Duration, String)>) {
    slowest.sort_by_key(|s| std::cmp::Reverse(s.0));
    slowest.truncate(SHOWN);
}

/// One question: when after `after` is `spec` due?
struct Search {
    spec: String,
    zone: Tz,
    dst: DstPolicy,
    after: DateTime<Utc>,
}

impl Search {
    fn any(random: &mut Random) -> Self {
        let robfig = random.one_in(4);
        let second = match random.below(4) {
            0 => FIRST + random.below(3 * 86_400) as i64 - 86_400,
            1 => LAST - random.below(9 * 365 * 86_400) as i64,
            2 => 946_684_800 + random.below(30 * 365 * 86_400) as i64,
            _ => FIRST + random.below((LAST - FIRST) as u64) as i64,
        };
        Self {
            spec: specs::any(random),
            zone: random.of(&TZ_VARIANTS),
            dst: if robfig {
                DstPolicy::Robfig
            } else {
                DstPolicy::RunOnce
            },
            after: DateTime::from_timestamp(second, 0).unwrap_or_default(),
        }
    }

    /// The best of three tries: the others may have lost the processor for a while.
    fn measure(&self) -> (Duration, Option<Option<DateTime<Utc>>>) {
        let mut best = Duration::MAX;
        let mut found = None;
        for _ in 0..3 {
            let begun = Instant::now();
            let parsed = Schedule::parse_in(&self.spec, self.zone);
            found = parsed
                .ok()
                .map(|s| s.with_dst(self.dst).next_after(self.after));
            best = best.min(begun.elapsed());
        }
        (best, found)
    }

    fn text(&self) -> String {
        let shown: String = self.spec.chars().take(120).collect();
        let rest = if shown.len() < self.spec.len() {
            "…"
        } else {
            ""
        };
        format!(
            "{:?} {} after {}: {shown}{rest}",
            self.dst, self.zone, self.after
        )
    }
}
