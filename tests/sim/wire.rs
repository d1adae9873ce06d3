//! How instances and the store talk: a line for each request, a line for each reply.
//!
//! `<id> <operation> <item> <item>…` and `<id> <item> <item>…`; an item is fields with commas.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tasklock::{
    Acquired, Claim, Completion, FencingToken, Grant, Holder, LastFired, Released, Renewed,
    RunStatus, TaskName, Token, chrono,
};

const STATUSES: [RunStatus; 6] = [
    RunStatus::Running,
    RunStatus::Succeeded,
    RunStatus::Failed,
    RunStatus::TimedOut,
    RunStatus::Cancelled,
    RunStatus::Abandoned,
];
const COMPLETIONS: [Completion; 5] = [
    Completion::Succeeded,
    Completion::Failed,
    Completion::TimedOut,
    Completion::Cancelled,
    Completion::Abandoned,
];

fn number<T: PartialEq>(of: &T, all: &[T]) -> usize {
    all.iter().position(|x| x == of).unwrap()
}

fn instant(ms: &str) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms.parse().unwrap()).unwrap()
}

fn millis(text: &str) -> Duration {
    Duration::from_millis(text.parse().unwrap())
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

fn unless_dash<'a, T>(text: &'a str, read: impl FnOnce(&'a str) -> T) -> Option<T> {
    (text != "-").then(|| read(text))
}

pub fn task(name: &str) -> TaskName {
    name.parse().unwrap()
}

pub fn claim(c: &Claim) -> String {
    format!(
        "{},{},{},{},{},{},{},{},{}",
        c.task(),
        c.fire_time().timestamp_millis(),
        c.token().as_str(),
        c.owner(),
        c.ttl().as_millis(),
        c.early().as_millis(),
        c.late().as_millis(),
        c.max_attempts(),
        or_dash(c.delay().map(|d| d.as_millis())),
    )
}

pub fn read_claim(item: &str) -> Claim {
    let f: Vec<&str> = item.split(',').collect();
    let token = Token::from_bits(u128::from_str_radix(f[2], 16).unwrap());
    let claim = Claim::new(task(f[0]), instant(f[1]), token, f[3])
        .with_ttl(millis(f[4]))
        .with_early(millis(f[5]))
        .with_late(millis(f[6]))
        .with_max_attempts(f[7].parse().unwrap());
    match unless_dash(f[8], millis) {
        Some(delay) => claim.with_delay(delay),
        None => claim,
    }
}

pub fn grant(g: &Grant, completion: Option<Completion>) -> String {
    format!(
        "{},{},{},{},{},{},{},{}",
        g.task(),
        g.fire_time().timestamp_millis(),
        g.token().as_str(),
        g.owner(),
        g.ttl().as_millis(),
        g.fencing_token(),
        g.attempt(),
        or_dash(completion.map(|c| number(&c, &COMPLETIONS))),
    )
}

pub fn read_grant(item: &str) -> (Grant, Option<Completion>) {
    let f: Vec<&str> = item.split(',').collect();
    let token = Token::from_bits(u128::from_str_radix(f[2], 16).unwrap());
    let claim = Claim::new(task(f[0]), instant(f[1]), token, f[3]).with_ttl(millis(f[4]));
    let fence = FencingToken::new(f[5].parse().unwrap());
    let grant = Grant::new(&claim, fence, f[6].parse().unwrap(), Duration::ZERO);
    let number = |text: &str| COMPLETIONS[text.parse::<usize>().unwrap()];
    (grant, unless_dash(f[7], number))
}

pub fn acquired(answer: &Acquired) -> String {
    match answer {
        Acquired::Granted(g) => format!(
            "granted,{},{},{}",
            g.fencing_token(),
            g.attempt(),
            g.remaining().as_millis()
        ),
        Acquired::AlreadyFired {
            owner,
            status,
            attempt,
            ..
        } => {
            let status = number(status, &STATUSES);
            format!("already_fired,{owner},{status},{attempt}")
        }
        Acquired::Superseded { last } => format!("superseded,{}", last.timestamp_millis()),
        Acquired::Burned => "burned".to_owned(),
        Acquired::Held(Holder { owner, remaining }) => format!(
            "held,{},{}",
            or_dash(owner.as_ref()),
            or_dash(remaining.map(|r| r.as_millis()))
        ),
        Acquired::TooEarly { wait } => format!("too_early,{}", wait.as_millis()),
        Acquired::TooLate { lateness } => format!("too_late,{}", lateness.as_millis()),
        Acquired::Delayed { fire_time, wait } => format!(
            "delayed,{},{}",
            fire_time.timestamp_millis(),
            wait.as_millis()
        ),
        Acquired::FinishEarlier { fire_time } => {
            format!("finish_earlier,{}", fire_time.timestamp_millis())
        }
        other => panic!("{other:?} has no words"),
    }
}

pub fn read_acquired(item: &str, claim: &Claim) -> Acquired {
    let f: Vec<&str> = item.split(',').collect();
    match f[0] {
        "granted" => {
            let fence = FencingToken::new(f[1].parse().unwrap());
            Acquired::Granted(Grant::new(
                claim,
                fence,
                f[2].parse().unwrap(),
                millis(f[3]),
            ))
        }
        "already_fired" => Acquired::AlreadyFired {
            owner: f[1].to_owned(),
            status: STATUSES[f[2].parse::<usize>().unwrap()],
            attempt: f[3].parse().unwrap(),
            spec: String::new(),
        },
        "superseded" => Acquired::Superseded {
            last: instant(f[1]),
        },
        "burned" => Acquired::Burned,
        "held" => Acquired::Held(Holder {
            owner: unless_dash(f[1], str::to_owned),
            remaining: unless_dash(f[2], millis),
        }),
        "too_early" => Acquired::TooEarly { wait: millis(f[1]) },
        "too_late" => Acquired::TooLate {
            lateness: millis(f[1]),
        },
        "delayed" => Acquired::Delayed {
            fire_time: instant(f[1]),
            wait: millis(f[2]),
        },
        "finish_earlier" => Acquired::FinishEarlier {
            fire_time: instant(f[1]),
        },
        other => panic!("{other:?} is no answer to a claim"),
    }
}

pub fn renewed(answer: &Renewed) -> String {
    match answer {
        Renewed::Extended => "extended".to_owned(),
        Renewed::Reasserted => "reasserted".to_owned(),
        Renewed::Lost { owner } => format!("lost,{}", or_dash(owner.as_ref())),
        other => panic!("{other:?} has no words"),
    }
}

pub fn read_renewed(item: &str) -> Renewed {
    match item.split_once(',') {
        None if item == "extended" => Renewed::Extended,
        None => Renewed::Reasserted,
        Some((_, owner)) => Renewed::Lost {
            owner: unless_dash(owner, str::to_owned),
        },
    }
}

pub fn released(answer: &Released) -> String {
    match answer {
        Released::Freed => "freed".to_owned(),
        Released::WasGone => "was_gone".to_owned(),
        Released::NotOwner { owner } => format!("not_owner,{}", or_dash(owner.as_ref())),
        other => panic!("{other:?} has no words"),
    }
}

pub fn read_released(item: &str) -> Released {
    match item.split_once(',') {
        None if item == "freed" => Released::Freed,
        None => Released::WasGone,
        Some((_, owner)) => Released::NotOwner {
            owner: unless_dash(owner, str::to_owned),
        },
    }
}

pub fn last_fired(last: Option<&LastFired>) -> String {
    let Some(last) = last else {
        return "-".to_owned();
    };
    format!(
        "{},{},{},{}",
        or_dash(last.fire_time.map(|t| t.timestamp_millis())),
        number(&last.status, &STATUSES),
        last.owner,
        or_dash(last.ended_at.map(|t| t.timestamp_millis())),
    )
}

pub fn read_last_fired(item: &str) -> Option<LastFired> {
    let read = |item: &str| {
        let f: Vec<&str> = item.split(',').collect();
        LastFired {
            fire_time: unless_dash(f[0], instant),
            status: STATUSES[f[1].parse::<usize>().unwrap()],
            owner: f[2].to_owned(),
            ended_at: unless_dash(f[3], instant),
            failures: 0,
            spec: String::new(),
        }
    };
    unless_dash(item, read)
}
