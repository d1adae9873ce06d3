//! How much memory a parsed schedule takes, beside two other crates.

use std::error::Error;
use std::process::Command;
use std::str::FromStr;

use croner::parser::CronParser;
use tasklock::Schedule;

type Anything = Box<dyn Error + Send + Sync>;

const SPEC: &str = "0 30 4 * * MON-FRI";
const COPIES: usize = 100_000;
const LIBRARIES: [&str; 3] = ["tasklock", "croner", "cron"];

fn main() -> Result<(), Anything> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [] => {
            // A process for each library: what one leaves behind would be reused by the next.
            for library in LIBRARIES {
                let status = Command::new(std::env::current_exe()?)
                    .arg(library)
                    .status()?;
                if !status.success() {
                    return Err(format!("{library}: {status}").into());
                }
            }
            Ok(())
        }
        [library] => match library.as_str() {
            "tasklock" => measure(library, || Ok(Schedule::from_str(SPEC)?)),
            "croner" => measure(library, || Ok(CronParser::new().parse(SPEC)?)),
            "cron" => measure(library, || Ok(cron::Schedule::from_str(SPEC)?)),
            other => Err(format!("no such library: {other}").into()),
        },
        _ => Err("usage: schedule_size [tasklock|croner|cron]".into()),
    }
}

fn measure<T>(library: &str, parse: impl Fn() -> Result<T, Anything>) -> Result<(), Anything> {
    // What the first parse sets up, tables and the allocator's arena, is not a schedule's.
    drop(parse()?);
    let before = resident()?;
    let mut held = Vec::with_capacity(COPIES);
    for _ in 0..COPIES {
        held.push(parse()?);
    }
    let grown = resident()?.saturating_sub(before);
    println!(
        "{{\"work\":\"schedule_size\",\"library\":\"{library}\",\"size_of\":{},\
         \"resident_bytes\":{:.0}}}",
        size_of::<T>(),
        grown as f64 / held.len() as f64,
    );
    Ok(())
}

/// The process's resident memory in bytes, by the kernel's count of its pages (Linux).
fn resident() -> Result<u64, Anything> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split_whitespace().nth(1).ok_or("no resident pages")?;
    Ok(pages.parse::<u64>()? * page_size()?)
}

/// The size of a page, from a file that has both: pages need not be of 4 KiB.
fn page_size() -> Result<u64, Anything> {
    let smaps = std::fs::read_to_string("/proc/self/smaps")?;
    let line = smaps
        .lines()
        .find_map(|l| l.strip_prefix("KernelPageSize:"));
    let kb = line.and_then(|l| l.split_whitespace().next());
    Ok(kb.ok_or("no page size")?.parse::<u64>()? * 1024)
}
