//! One fault after the other, the same ones for the same seed.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::super::history::What;
use super::super::proxy::Proxy;
use super::super::redis_server::RedisServer;
use super::fleet::Fleet;
use super::plan::FaultKind;
use super::random::Random;
use super::recorded::Point;

/// The end of a fault.
#[derive(Debug, Clone)]
enum Undo {
    Resume(usize),
    Start(usize),
    Heal(Vec<usize>),
    Join(String),
    Clock,
}

pub struct Nemesis<'a> {
    fleet: &'a mut Fleet,
    server: &'a mut RedisServer,
    /// Of each replica, before the store.
    pub proxies: Vec<Proxy>,
    random: Random,
    undo: Vec<(Instant, Undo)>,
    /// Where the server reads by how much its clock is off.
    clock_file: Option<std::path::PathBuf>,
    /// From when on no process is started that will kill itself: the last fault must be over when
    /// all is said to be.
    no_deaths_from: Instant,
    pub done: BTreeMap<FaultKind, usize>,
}

impl<'a> Nemesis<'a> {
    pub fn new(
        fleet: &'a mut Fleet,
        server: &'a mut RedisServer,
        proxies: Vec<Proxy>,
        clock_file: Option<std::path::PathBuf>,
    ) -> Self {
        let random = Random::new(fleet.plan.seed);
        Self {
            fleet,
            server,
            proxies,
            random,
            undo: Vec::new(),
            clock_file,
            no_deaths_from: Instant::now(),
            done: BTreeMap::new(),
        }
    }

    /// Breaks things for as long as the plan says, then puts all right.
    pub async fn rage(&mut self) {
        let end = Instant::now() + Duration::from_secs(self.fleet.plan.seconds);
        self.no_deaths_from = end - Duration::from_secs(15).min(end - Instant::now());
        let kinds = self.fleet.plan.faults.clone();
        let mut next = self.pause();
        while Instant::now() < end {
            let undo_at = self.undo.iter().map(|u| u.0).min();
            let wake = undo_at.map_or(next, |at| at.min(next)).min(end);
            // Those that have killed themselves are found soon.
            let soon = Instant::now() + Duration::from_millis(100);
            tokio::time::sleep_until(wake.min(soon)).await;
            self.fleet.revive();
            self.undo_those_due(Instant::now()).await;
            if Instant::now() >= next && !kinds.is_empty() {
                let kind = self.choose(&kinds);
                self.strike(kind).await;
                next = self.pause();
            }
        }
        self.undo_those_due(end + Duration::from_secs(3600)).await;
        self.fleet.revive();
        for i in 0..self.fleet.replicas.len() {
            self.fleet.start(i, None);
        }
        self.fleet.history.note_of("*", What::Calm, "-");
    }

    fn choose(&mut self, kinds: &[FaultKind]) -> FaultKind {
        let mut left = self.random.below(kinds.iter().map(|k| k.weight()).sum());
        for kind in kinds {
            if left < kind.weight() {
                return *kind;
            }
            left -= kind.weight();
        }
        kinds[0]
    }

    fn pause(&mut self) -> Instant {
        let pause = self.fleet.plan.pause.clone();
        Instant::now() + Duration::from_millis(self.random.within(pause))
    }

    fn later(&mut self, ms: u64, undo: Undo) {
        self.undo
            .push((Instant::now() + Duration::from_millis(ms), undo));
    }

    async fn undo_those_due(&mut self, now: Instant) {
        let (due, later) = self.undo.drain(..).partition(|u| u.0 <= now);
        self.undo = later;
        let due: Vec<(Instant, Undo)> = due;
        for (_, undo) in due {
            match undo {
                Undo::Resume(i) => self.fleet.resume(i),
                Undo::Start(i) => {
                    let dies_at = self.dies_at();
                    self.fleet.start(i, dies_at);
                }
                Undo::Heal(which) => {
                    for i in which {
                        let proxy = &self.proxies[i];
                        proxy.black_hole_new(false);
                        proxy.delay(Duration::ZERO);
                        proxy.delay_requests(Duration::ZERO);
                    }
                }
                Undo::Join(who) => self.fleet.history.note_of(&who, What::Joined, "-"),
                Undo::Clock => self.set_clock(0),
            }
        }
    }

    /// Says that replicas may be cut off from the store for so long.
    fn part(&mut self, which: &[usize], ms: u64, word: &str) {
        for i in which {
            let name = self.fleet.replicas[*i].name.clone();
            self.fleet.history.note_of(&name, What::Apart, word);
            self.later(ms, Undo::Join(name));
        }
    }

    fn part_all(&mut self, ms: u64, word: &str) {
        self.fleet.history.note_of("*", What::Apart, word);
        self.later(ms, Undo::Join("*".to_owned()));
    }

    /// One replica, or, in so many cases of a hundred, all.
    fn some(&mut self, all: u64) -> Vec<usize> {
        let n = self.fleet.replicas.len();
        match self.random.percent(all) {
            true => (0..n).collect(),
            false => vec![self.random.below(n)],
        }
    }

    /// Where a new process kills itself: mostly nowhere.
    fn dies_at(&mut self) -> Option<(Point, i64)> {
        let kills = self.fleet.plan.faults.contains(&FaultKind::Kill);
        let point = Point::ALL[self.random.below(3)].0;
        let passes = self.random.within(0..12) as i64;
        let has_time = Instant::now() < self.no_deaths_from;
        (self.random.percent(35) && kills && has_time).then_some((point, passes))
    }

    async fn strike(&mut self, kind: FaultKind) {
        *self.done.entry(kind).or_default() += 1;
        self.fleet.history.note_of("*", What::Fault, kind.as_str());
        match kind {
            FaultKind::Kill => {
                let mut i = self.random.below(self.fleet.replicas.len());
                if !self.fleet.is_running(i) && self.random.percent(80) {
                    // Else few would be stopped for long.
                    let all = 0..self.fleet.replicas.len();
                    i = all
                        .into_iter()
                        .find(|i| self.fleet.is_running(*i))
                        .unwrap_or(i);
                }
                self.fleet.kill(i);
                let down = match self.random.percent(50) {
                    true => 0,
                    false => self.random.within(100..2500),
                };
                self.later(down, Undo::Start(i));
            }
            FaultKind::KillAll => {
                let down = self.random.within(500..2300);
                for i in 0..self.fleet.replicas.len() {
                    self.fleet.kill(i);
                    self.later(down, Undo::Start(i));
                }
            }
            FaultKind::Stop => {
                let long = self.random.percent(40);
                let ms = self
                    .random
                    .within(if long { 2000..9000 } else { 200..2000 });
                self.stop(ms);
            }
            FaultKind::Pause => {
                let ms = self.random.within(700..930);
                self.stop(ms);
            }
            FaultKind::Cut => self.cut().await,
            FaultKind::Reply => {
                let which = self.some(50);
                self.part(&which, 300, kind.as_str());
                for i in which {
                    self.proxies[i].lose_next_reply();
                }
            }
            FaultKind::BlackHole => {
                let which = self.some(30);
                let ms = self.random.within(300..3500);
                let swallows_new = self.random.percent(60);
                // Existing connections are found dead by two time-outs.
                self.part(&which, ms.max(1300), kind.as_str());
                for i in &which {
                    let proxy = &self.proxies[*i];
                    proxy.black_hole_all();
                    proxy.black_hole_new(swallows_new);
                }
                self.later(ms, Undo::Heal(which));
            }
            FaultKind::HalfOpen => {
                let which = self.some(30);
                self.part(&which, 1300, kind.as_str());
                for i in which {
                    self.proxies[i].half_open_all();
                }
            }
            FaultKind::Latency | FaultKind::Slow => self.slow_down(kind),
            FaultKind::Stall => {
                let ms = self.random.within(200..1500);
                self.part_all(ms + 300, kind.as_str());
                match self.random.below(3) {
                    0 => self.tell(&format!("CLIENT PAUSE {ms} ALL")).await,
                    1 => self.tell(&format!("CLIENT PAUSE {ms} WRITE")).await,
                    _ => self.tell(&format!("DEBUG SLEEP {}", ms as f64 / 1e3)).await,
                }
            }
            FaultKind::Scripts => self.tell("SCRIPT FLUSH").await,
            FaultKind::Flush => {
                self.fleet.history.note_of("*", What::Loss, kind.as_str());
                self.tell("FLUSHALL").await;
            }
            FaultKind::Restart => {
                self.part_all(1000, kind.as_str());
                self.fleet.history.note_of("*", What::Loss, kind.as_str());
                self.server.restart();
            }
            FaultKind::Clock => {
                // From one end to the other less than the margin of a lease.
                let ms = self.random.within(100..450) as i64;
                let by = if self.random.percent(50) { ms } else { -ms };
                self.set_clock(by);
                let back = self.random.within(500..4000);
                self.later(back, Undo::Clock);
            }
        }
    }

    fn stop(&mut self, ms: u64) {
        let i = self.random.below(self.fleet.replicas.len());
        if self.fleet.is_running(i) {
            self.fleet.stop(i);
            self.later(ms, Undo::Resume(i));
        }
    }

    async fn cut(&mut self) {
        if self.random.percent(30) {
            self.part_all(300, "cut");
            self.tell("CLIENT KILL TYPE normal SKIPME no").await;
            return;
        }
        let which = self.some(50);
        self.part(&which, 300, "cut");
        for i in which {
            self.proxies[i].cut_all();
        }
    }

    fn slow_down(&mut self, kind: FaultKind) {
        let which = self.some(40);
        let ms = self.random.within(600..3000);
        let latency = match kind {
            FaultKind::Slow => self.random.within(600..900),
            _ => self.random.within(50..800),
        };
        self.part(&which, ms + 2 * latency, kind.as_str());
        for i in &which {
            let proxy = &self.proxies[*i];
            proxy.delay(Duration::from_millis(latency));
            if kind == FaultKind::Latency {
                proxy.delay_requests(Duration::from_millis(latency));
            }
        }
        self.later(ms, Undo::Heal(which));
    }

    fn set_clock(&self, by_ms: i64) {
        if let Some(path) = &self.clock_file {
            use std::os::unix::fs::FileExt;
            // In place: the server has it mapped.
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&(by_ms * 1000).to_ne_bytes(), 0).unwrap();
        }
    }

    /// Tells the server something, and does not wait for what it says.
    async fn tell(&self, command: &str) {
        let address = ("127.0.0.1", self.server.port());
        if let Ok(mut server) = TcpStream::connect(address).await {
            let _ = server.write_all(format!("{command}\r\n").as_bytes()).await;
            // It is read even if the connection is closed at once, but not if it is reset.
            let mut reply = [0; 64];
            let read = tokio::io::AsyncReadExt::read(&mut server, &mut reply);
            let _ = tokio::time::timeout(Duration::from_millis(20), read).await;
        }
    }
}
