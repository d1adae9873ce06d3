//! One primary after the other is struck, and comes back as a replica.

use std::time::{Duration, Instant};

use tasklock::{Clock, SystemClock};
use tokio::sync::watch;

use crate::support::data_loss::BUT_GRANTS;
use crate::support::faults::{Fleet, Random};
use crate::support::history::{History, Line, What};

use super::blow::{Blow, Deed, Stalled};
use super::node::Node;
use super::servers::{Servers, until};

/// One failover.
#[derive(Debug, Clone)]
pub struct Strike {
    pub blow: Blow,
    /// When the primary was gone, and when another had its place; microseconds.
    pub at: u64,
    pub taken_over: u64,
    /// Those whose locks were there.
    pub tasks: Vec<String>,
}

pub struct Rounds<'a> {
    pub servers: &'a mut Servers,
    pub fleet: &'a mut Fleet,
    /// Those that have locks.
    pub seen: watch::Sender<Vec<String>>,
    pub random: Random,
    pub done: Vec<Strike>,
}

impl Rounds<'_> {
    /// So many failovers, or as many as there is time for.
    pub async fn run(&mut self, blows: &[Blow], rounds: usize) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(self.fleet.plan.seconds);
        let mut left: Vec<Blow> = Vec::new();
        // All are up, and have a past.
        self.sleep(3000..3500).await;
        for _ in 0..rounds {
            self.servers.settle().await?;
            if Instant::now() > end {
                break;
            }
            if left.is_empty() {
                left.extend_from_slice(blows);
            }
            let blow = left.remove(self.random.below(left.len()));
            self.strike(blow).await?;
            self.fleet.revive();
            self.sleep(1000..2500).await;
        }
        self.servers.settle().await?;
        self.fleet.history.note_of("*", What::Calm, "-");
        Ok(())
    }

    async fn strike(&mut self, blow: Blow) -> Result<(), String> {
        let primaries = self.servers.primaries();
        let old = primaries[self.random.below(primaries.len())];
        let mut replicas = self.servers.replicas_of(old);
        let names = self.fleet.plan.tasks.iter().map(|t| t.name.clone());
        let is_there =
            |name: &String| self.servers.nodes()[old].serves(&format!("task:lock:{name}"));
        let tasks = names.filter(is_there).collect();
        let word = blow.as_str();
        self.fleet.history.note_of("*", What::Fault, word);
        self.fleet.history.note_of("*", What::Apart, word);

        // From here on not all writes reach those that may take over.
        let since = History::now();
        let stalled = match blow.stalled() {
            Stalled::Nobody => Vec::new(),
            Stalled::One => vec![replicas.remove(self.random.below(replicas.len()))],
            Stalled::All => std::mem::take(&mut replicas),
        };
        let ports: Vec<u16> = stalled.iter().map(|n| self.gate_port(*n)).collect();
        let gate = &self.servers.nodes()[old].gate;
        gate.change(|rules| rules.replicas.extend(ports));
        if !stalled.is_empty() && blow.deed() != Deed::Part {
            self.sleep(300..1500).await;
        }
        self.aim().await;
        let struck = History::now();
        self.hit(old, blow.deed(), &replicas);
        let dead = History::now();
        self.show(self.servers.primaries().into_iter().filter(|n| *n != old));
        let servers = &*self.servers;
        until("another has its place", || servers.successor(old).is_some()).await?;
        let new = self.servers.successor(old).ok_or("it was taken from it")?;
        self.done.push(Strike {
            blow,
            at: struck,
            taken_over: History::now(),
            tasks,
        });
        self.show(self.servers.primaries().into_iter());

        // Grants that waited are with one that waited with them, or are not lost.
        let acks = self.fleet.plan.replica_acks;
        let keeps_grants = acks > 0 && (replicas.len() < acks || !stalled.contains(&new));
        let word = if keeps_grants { BUT_GRANTS } else { word };
        self.bring_back(old, new, blow.deed()).await?;
        let loss = Line {
            // The dead grant nothing.
            at: match blow.deed() {
                Deed::Kill => dead,
                Deed::Stop | Deed::Part => History::now(),
            },
            who: "*".to_owned(),
            what: What::Loss,
            task: "-".to_owned(),
            instant: 0,
            number: since,
            word: word.to_owned(),
        };
        self.fleet.history.append(&loss);
        // Who waits for replicas needs some.
        let new: &Node = &self.servers.nodes()[new];
        let has_acks = || new.has_acks(acks);
        // Two looks, as one that has just come may be sent away again by the sentinels.
        loop {
            until("replicas confirm", has_acks).await?;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            if has_acks() {
                break;
            }
        }
        self.fleet.history.note_of("*", What::Joined, blow.as_str());
        Ok(())
    }

    /// Waits for a moment at which some have claimed an instant, and others, whose clocks are
    /// behind, have not.
    async fn aim(&mut self) {
        let now = SystemClock.now().timestamp_subsec_millis();
        let at = self.random.within(850..1150);
        tokio::time::sleep(Duration::from_millis((at + 1000 - u64::from(now)) % 1000)).await;
    }

    fn hit(&mut self, old: usize, deed: Deed, on_its_side: &[usize]) {
        match deed {
            Deed::Kill => {
                let node = self.servers.node(old);
                node.server.kill();
                node.gate.cut();
            }
            Deed::Stop => self.servers.node(old).server.pause(),
            Deed::Part => {
                let clients = 0..self.fleet.replicas.len();
                let clients = clients.filter(|_| self.random.percent(50)).map(Fleet::name);
                let clients: Vec<String> = clients.collect();
                let nodes = self.servers.nodes();
                nodes[old].gate.change(|rules| {
                    rules.has_no_sentinels = true;
                    rules.clients.extend(clients);
                });
                for n in on_its_side {
                    nodes[*n].gate.change(|rules| rules.has_no_sentinels = true);
                }
            }
        }
    }

    /// Lets the old primary go on, for a while as one, and then as a replica.
    async fn bring_back(&mut self, old: usize, new: usize, deed: Deed) -> Result<(), String> {
        self.sleep(0..2500).await;
        match deed {
            Deed::Kill => self.servers.node(old).server.restart(),
            Deed::Stop => {
                // What was on its way to it arrives now.
                let node = self.servers.node(old);
                node.gate.clear();
                node.server.resume();
                self.sleep(0..1500).await;
            }
            Deed::Part => {
                let is_lost = self.random.percent(50);
                for node in self.servers.nodes() {
                    match is_lost {
                        true => node.gate.cut(),
                        false => node.gate.clear(),
                    }
                }
                self.sleep(0..1500).await;
            }
        }
        self.servers.demote(old, new).await
    }

    fn show(&self, primaries: impl Iterator<Item = usize>) {
        let urls = primaries.map(|n| self.servers.nodes()[n].server.url());
        self.seen.send_replace(urls.collect());
    }

    fn gate_port(&self, n: usize) -> u16 {
        self.servers.nodes()[n].gate.port()
    }

    async fn sleep(&mut self, ms: std::ops::Range<u64>) {
        let ms = self.random.within(ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
