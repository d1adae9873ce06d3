//! What goes wrong in one simulation, and when: all of it drawn from the seed beforehand.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::clock::ClockModel;
use crate::history::{Fault, Millis};

/// When faults begin, when they are over, when the fleet is stopped, and the end.
pub const FIRST_FAULT: Millis = 2_500;
pub const CALM: Millis = 28_000;
pub const STOP: Millis = 42_000;
pub const END: Millis = 46_000;

/// The shortest way of a message: not less than a tick of the simulation, so that no host hears of
/// what another has not done yet.
pub const SHORTEST_WAY: Millis = 20;
const LONGEST_USUAL_WAY: Millis = 60;

/// One deed of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    Partition(usize),
    /// From the store to the instance.
    LoseReplies(usize),
    LoseRequests(usize),
    Hold(usize),
    /// Undoes what was done to the link last.
    Heal(usize, Fault),
    /// How long messages of an instance take from now on; the usual time, or a fault.
    Latency(usize, Millis, bool),
    Crash(usize),
    Stop(usize),
    Start(usize),
    StoreCrash,
    StoreStart,
    LoseData,
    Step(usize, Millis),
    StoreStep(Millis),
    Count(Fault),
    Calm,
}

/// A fleet and its fate.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The instances' clocks, as they are at first.
    pub clocks: Vec<ClockModel>,
    pub store_clock: ClockModel,
    pub boots_at: Vec<Millis>,
    /// In the order of time.
    pub deeds: Vec<(Millis, Deed)>,
}

struct Draft {
    rng: SmallRng,
    deeds: Vec<(Millis, Deed)>,
    /// Until when there is a fault on it already.
    links: Vec<Millis>,
    processes: Vec<Millis>,
    store: Millis,
    store_offset: Millis,
    /// What steps have made of the clock that is never far off.
    first_offset: Millis,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let instances = rng.random_range(3..=5);
        let mut clock = |most: Millis| ClockModel {
            rate_ppm: rng.random_range(-1000..=1000),
            offset: rng.random_range(-most..=most),
            steps: Vec::new(),
        };
        let clocks: Vec<ClockModel> = (0..instances).map(|_| clock(400)).collect();
        let store_clock = clock(100);
        let boots_at = (0..instances).map(|_| rng.random_range(0..1500)).collect();
        let draft = Draft {
            rng,
            deeds: Vec::new(),
            links: vec![0; instances],
            processes: vec![0; instances],
            store: 0,
            store_offset: 0,
            first_offset: 0,
        };
        Self {
            clocks,
            store_clock,
            boots_at,
            deeds: draft.fill(),
        }
    }
}

impl Draft {
    fn fill(mut self) -> Vec<(Millis, Deed)> {
        for instance in 0..self.links.len() {
            self.vary_latency(instance);
        }
        // Each simulation has some kinds of faults and not others, so that in many of them the
        // assumptions of the guarantees hold.
        let kinds: Vec<Fault> = Fault::ALL
            .iter()
            .copied()
            .filter(|_| self.rng.random_bool(0.4))
            .collect();
        let gap = self.rng.random_range(400..3000);
        let mut at = FIRST_FAULT;
        while !kinds.is_empty() {
            at += self.rng.random_range(50..=gap);
            if at >= CALM - 500 {
                break;
            }
            let kind = kinds[self.rng.random_range(0..kinds.len())];
            self.add(at, kind);
        }
        self.deeds.push((CALM, Deed::Calm));
        // A stable sort: what was planned first is done first.
        self.deeds.sort_by_key(|(at, _)| *at);
        self.deeds
    }

    /// The usual latency of a link changes all the time; it is the same for all messages of a
    /// moment, so that their order makes no difference to what comes after.
    fn vary_latency(&mut self, instance: usize) {
        let mut at = 0;
        while at < END {
            let way = self.rng.random_range(SHORTEST_WAY..=LONGEST_USUAL_WAY);
            self.deeds.push((at, Deed::Latency(instance, way, false)));
            at += self.rng.random_range(200..3000);
        }
    }

    /// Adds a fault, unless there is another already where it would be.
    fn add(&mut self, at: Millis, kind: Fault) {
        let instance = self.rng.random_range(0..self.links.len());
        let lasts = self.rng.random_range(200..6000);
        let end = (at + lasts).min(CALM);
        let added = match kind {
            Fault::Partition
            | Fault::RepliesLost
            | Fault::RequestsLost
            | Fault::Held
            | Fault::Slow => self.link_fault(at, end, instance, kind),
            Fault::Crash | Fault::Stop => self.process_fault(at, end, instance, kind),
            Fault::StoreRestart | Fault::DataLoss => self.store_fault(at, end, kind),
            Fault::SmallStep | Fault::BigStep => self.step(at, instance, kind),
            Fault::StoreStep => self.store_step(at),
        };
        if added {
            self.deeds.push((at, Deed::Count(kind)));
        }
    }

    fn link_fault(&mut self, at: Millis, end: Millis, instance: usize, kind: Fault) -> bool {
        if self.links[instance] > at {
            return false;
        }
        // A pause, in which the connection comes back.
        self.links[instance] = end + 100;
        let begin = match kind {
            Fault::Partition => Deed::Partition(instance),
            Fault::RepliesLost => Deed::LoseReplies(instance),
            Fault::RequestsLost => Deed::LoseRequests(instance),
            Fault::Held => Deed::Hold(instance),
            _ => {
                let way = self.rng.random_range(60..=2000);
                Deed::Latency(instance, way, true)
            }
        };
        self.deeds.push((at, begin));
        self.deeds.push((end, Deed::Heal(instance, kind)));
        true
    }

    fn process_fault(&mut self, at: Millis, end: Millis, instance: usize, kind: Fault) -> bool {
        if self.processes[instance] > at {
            return false;
        }
        let (begin, end) = match kind {
            Fault::Crash => (Deed::Crash(instance), end),
            // It takes a while until it has stopped; too little, and it is killed.
            _ => (Deed::Stop(instance), (end + 2000).min(CALM)),
        };
        self.processes[instance] = end + 500;
        self.deeds.push((at, begin));
        self.deeds.push((end, Deed::Start(instance)));
        true
    }

    fn store_fault(&mut self, at: Millis, end: Millis, kind: Fault) -> bool {
        if self.store > at {
            return false;
        }
        let is_flush = kind == Fault::DataLoss && self.rng.random_bool(0.4);
        if is_flush {
            self.store = at + 100;
            self.deeds.push((at, Deed::LoseData));
            return true;
        }
        let end = at + (end - at) / 2;
        self.store = end + 100;
        self.deeds.push((at, Deed::StoreCrash));
        if kind == Fault::DataLoss {
            self.deeds.push((at, Deed::LoseData));
        }
        self.deeds.push((end, Deed::StoreStart));
        true
    }

    fn step(&mut self, at: Millis, instance: usize, kind: Fault) -> bool {
        let sign = if self.rng.random_bool(0.5) { 1 } else { -1 };
        let by = match kind {
            Fault::SmallStep => self.rng.random_range(200..=300),
            // As many short ones as long ones.
            _ => {
                let power = self.rng.random_range(0..=13);
                (1_000_i64 << power).min(7_200_000) + self.rng.random_range(0..700)
            }
        };
        // One clock at least is never far off, so that somebody fires in time in the end.
        if instance == 0 {
            let offset = self.first_offset + sign * by;
            if kind == Fault::BigStep || offset.abs() > 600 {
                return false;
            }
            self.first_offset = offset;
        }
        self.deeds.push((at, Deed::Step(instance, sign * by)));
        true
    }

    fn store_step(&mut self, at: Millis) -> bool {
        let by = self.rng.random_range(-1000..=1000);
        // As above: a store that is far off lets nobody in.
        if (self.store_offset + by).abs() > 1200 {
            return false;
        }
        self.store_offset += by;
        self.deeds.push((at, Deed::StoreStep(by)));
        true
    }
}
