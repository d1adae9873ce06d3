//! What a page costs that many people have left open.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::options::Options;
use crate::page::{Settings, TOKEN};
use crate::trial::start_self;

/// As often as an open tab asks, by the page's script.
const EVERY: Duration = Duration::from_secs(5);
const TABS: u32 = 200;
/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn run(options: &Options) -> Result<()> {
    let seconds = options.seconds(60, 10);
    let runtime = tokio::runtime::Runtime::new()?;
    for tasks in options.tasks(&[100], &[100]) {
        // A fleet in which nothing happens, and one in which each task runs once a minute.
        for each_minute in [false, true] {
            for tabs in [0, TABS] {
                let tasks = u32::try_from(tasks)?;
                println!("{}", measure(&runtime, tasks, each_minute, tabs, seconds)?);
            }
        }
    }
    Ok(())
}

fn measure(
    runtime: &tokio::runtime::Runtime,
    tasks: u32,
    each_minute: bool,
    tabs: u32,
    seconds: u32,
) -> Result<Value> {
    let server = RedisServer::start()?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("starts");
    let settings = Settings {
        redis: server.url(),
        tasks,
        each_minute,
        file: file.clone(),
    };
    let page = start_self("page", settings.words(), &file)?;
    let port = page.ready.get("port").and_then(Value::as_u64);
    let port = u16::try_from(port.context("no port")?)?;
    let (asked, used, calls) = runtime.block_on(async {
        let mut open = JoinSet::new();
        // Until the last tab has been read for the first time; with 0 as long.
        let begin = Instant::now();
        for n in 0..tabs {
            // Nobody opens them all at once.
            let first = begin + EVERY * n / tabs;
            open.spawn(tab(port, first, begin + EVERY * 2, seconds));
        }
        sleep(EVERY * 2).await;
        let (before, info) = (page.usage()?, server.info("everything")?);
        sleep(Duration::from_secs(seconds.into())).await;
        let (after, info_then) = (page.usage()?, server.info("everything")?);
        let mut asked = Asked::default();
        while let Some(tab) = open.join_next().await {
            asked.add(&tab??);
        }
        let calls = |info: &tasklock_fleet::redis_server::Info| {
            info.number("total_commands_processed")
                .context("the server does not say how many commands it had")
        };
        let calls = calls(&info_then)? - calls(&info)?;
        anyhow::Ok((asked, after.cpu_s - before.cpu_s, calls))
    })?;
    page.end()?;
    if tabs > 0 {
        ensure!(asked.requests > 0, "nobody has asked");
    }
    let each = f64::from(seconds);
    Ok(json!({
        "work": "tabs", "tasks": tasks, "each_minute": each_minute, "tabs": tabs, "seconds": seconds,
        "cpu_percent": round(used / each * 100.0),
        "requests_per_second": round(f64::from(asked.requests) / each),
        "not_modified": asked.known,
        "sent": asked.requests - asked.known,
        "mb_per_second": round(asked.bytes as f64 / each / 1e6),
        "worst_ms": round(asked.worst.as_secs_f64() * 1e3),
        "store_commands_per_second": round(calls / each),
    }))
}

/// What tabs have asked for while it was measured, and were sent.
#[derive(Default)]
struct Asked {
    requests: u32,
    known: u32,
    bytes: u64,
    worst: Duration,
}

impl Asked {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.known += other.known;
        self.bytes += other.bytes;
        self.worst = self.worst.max(other.worst);
    }
}

/// One tab, on a connection of its own: asks as the page's script does, and is counted from `from` on.
async fn tab(port: u16, first: Instant, from: Instant, seconds: u32) -> Result<Asked> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let end = from + Duration::from_secs(seconds.into());
    let (mut asked, mut tag, mut next) = (Asked::default(), String::new(), first);
    while next < end {
        tokio::time::sleep_until(next).await;
        next += EVERY;
        let begun = Instant::now();
        let ask = ask(&mut stream, &tag);
        let (status, new, length) = timeout(PATIENCE, ask).await.context("no answer")??;
        tag = new;
        if begun >= from {
            asked.requests += 1;
            asked.known += u32::from(status == 304);
            asked.bytes += length as u64;
            asked.worst = asked.worst.max(begun.elapsed());
        }
    }
    Ok(asked)
}

/// Asks for the screen: how it was answered, with which tag and how long a body.
async fn ask(stream: &mut BufReader<TcpStream>, tag: &str) -> Result<(u16, String, usize)> {
    let request = format!(
        "GET / HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\nif-none-match: {tag}\r\n\
         accept: */*\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let (mut status, mut tag, mut length) = (0, String::new(), 0);
    let mut line = String::new();
    loop {
        line.clear();
        ensure!(
            stream.read_line(&mut line).await? > 0,
            "the server has hung up"
        );
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        match text.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("etag") => {
                tag = value.trim().to_owned()
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse()?;
            }
            Some(_) => {}
            None => status = text.split(' ').nth(1).context("no status")?.parse()?,
        }
    }
    if ![200, 304].contains(&status) {
        bail!("it was answered with {status}");
    }
    // What is known already has no body, whatever its length would be.
    let length = if status == 304 { 0 } else { length };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((status, tag, length))
}
