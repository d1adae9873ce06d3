//! One simulation: hosts, a network, and a driver that carries out a plan.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use turmoil::{Builder, Sim};

use crate::broken::Variant;
use crate::clock::{ClockModel, SimClock};
use crate::fleet::{self, Instance, host_name};
use crate::history::{Entry, Fault, History, Millis, What};
use crate::plan::{CALM, Deed, END, Plan, SHORTEST_WAY, STOP};
use crate::store::{self, Store};

/// What one simulation leaves.
#[derive(Debug, Clone)]
pub struct Record {
    pub entries: Vec<Entry>,
    /// With all their steps.
    pub clocks: Vec<ClockModel>,
    pub store_clock: ClockModel,
    /// How often the store gave each kind of answer.
    pub answers: BTreeMap<String, u64>,
}

struct Driver<'a> {
    sim: Sim<'a>,
    history: History,
    plan: Plan,
    store: Store,
    instances: Vec<Instance>,
    /// The usual latency of each link, for the end of a slow time.
    usual: Vec<Millis>,
    is_slow: Vec<bool>,
}

/// Lets the simulation of `seed` take its course.
pub fn simulate(seed: u64, variant: Variant) -> Record {
    keep_simulated_panics_quiet();
    tasklock::testing::seed_randomness(Some(seed));
    let before = UNEXPECTED.get();
    let mut driver = Driver::new(seed, variant);
    driver.carry_out();
    let record = driver.finish();
    tasklock::testing::seed_randomness(None);
    assert_eq!(UNEXPECTED.get(), before, "seed {seed}: something panicked");
    record
}

fn millis(ms: Millis) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

impl Driver<'_> {
    fn new(seed: u64, variant: Variant) -> Self {
        let plan = Plan::of(seed);
        let history = History::default();
        let clock = |model: &ClockModel| {
            let clock = SimClock::new(history.clone(), model.rate_ppm, model.offset);
            Arc::new(clock)
        };
        let mut sim = Builder::new()
            .rng_seed(seed)
            .epoch(SystemTime::UNIX_EPOCH)
            .tick_duration(millis(SHORTEST_WAY))
            .min_message_latency(millis(SHORTEST_WAY))
            .max_message_latency(millis(SHORTEST_WAY))
            .simulation_duration(millis(END * 2))
            .build();

        let store = Store::new(variant, clock(&plan.store_clock), history.clone());
        let process = store.clone();
        sim.host(store::HOST, move || process.clone().run());
        let mut instances = Vec::new();
        for (number, model) in plan.clocks.iter().enumerate() {
            let instance = Instance {
                number,
                seed,
                clock: clock(model),
                history: history.clone(),
                stop: Arc::new(Notify::new()),
                boots: Arc::new(Mutex::new(0)),
            };
            let process = instance.clone();
            let first = millis(plan.boots_at[number]);
            sim.host(host_name(number), move || {
                let process = process.clone();
                async move {
                    if process.life().boot == 0 {
                        tokio::time::sleep(first).await;
                    }
                    process.run().await
                }
            });
            instances.push(instance);
        }
        Self {
            usual: vec![SHORTEST_WAY; instances.len()],
            is_slow: vec![false; instances.len()],
            sim,
            history,
            plan,
            store,
            instances,
        }
    }

    fn carry_out(&mut self) {
        let deeds = self.plan.deeds.clone();
        let mut deeds = deeds.into_iter().peekable();
        let mut is_stopped = false;
        while self.now() < END {
            while let Some((_, deed)) = deeds.next_if(|(at, _)| *at <= self.now()) {
                self.freeze();
                self.carry_out_one(deed);
                self.history.thaw();
            }
            if self.now() >= STOP && !is_stopped {
                is_stopped = true;
                for instance in &self.instances {
                    instance.stop.notify_one();
                }
            }
            self.sim.step().unwrap();
        }
    }

    fn now(&self) -> Millis {
        self.sim.elapsed().as_millis() as Millis
    }

    fn freeze(&self) {
        self.history.freeze(self.sim.elapsed());
    }

    fn note(&self, what: What) {
        self.history.note_at(self.sim.elapsed(), what);
    }

    fn carry_out_one(&mut self, deed: Deed) {
        match deed {
            Deed::Partition(i) => {
                self.sim.partition(host_name(i), store::HOST);
                self.note(What::Link(i, false));
            }
            Deed::LoseReplies(i) => {
                self.sim.partition_oneway(store::HOST, host_name(i));
                self.note(What::Link(i, false));
            }
            Deed::LoseRequests(i) => {
                self.sim.partition_oneway(host_name(i), store::HOST);
                self.note(What::Link(i, false));
            }
            Deed::Hold(i) => {
                self.sim.hold(host_name(i), store::HOST);
                self.note(What::Link(i, false));
            }
            Deed::Heal(i, fault) => self.heal(i, fault),
            Deed::Latency(i, way, is_fault) => {
                if is_fault {
                    self.is_slow[i] = true;
                    self.note(What::Link(i, false));
                } else {
                    self.usual[i] = way;
                }
                if is_fault || !self.is_slow[i] {
                    self.set_latency(i, way);
                }
            }
            Deed::Crash(i) => self.crash(i),
            Deed::Stop(i) => self.instances[i].stop.notify_one(),
            Deed::Start(i) => {
                // One that could not stop in time is killed.
                self.crash(i);
                self.sim.bounce(host_name(i));
            }
            Deed::StoreCrash => {
                self.sim.crash(store::HOST);
                self.note(What::Store(false));
            }
            Deed::StoreStart => {
                self.sim.bounce(store::HOST);
                self.note(What::Store(true));
            }
            Deed::LoseData => {
                self.store.lose_data();
                self.note(What::DataLost);
            }
            Deed::Step(i, by) => {
                self.instances[i].clock.step(by);
                let now = self.now();
                self.plan.clocks[i].steps.push((now, by));
                self.note(What::ClockStepped(i, by));
            }
            Deed::StoreStep(by) => {
                self.store.clock().step(by);
                let now = self.now();
                self.plan.store_clock.steps.push((now, by));
                self.note(What::StoreStepped(by));
            }
            Deed::Count(fault) => self.note(What::Fault(fault)),
            Deed::Calm => self.note(What::Calm),
        }
    }

    fn heal(&mut self, i: usize, fault: Fault) {
        match fault {
            Fault::Partition => self.sim.repair(host_name(i), store::HOST),
            Fault::RepliesLost => self.sim.repair_oneway(store::HOST, host_name(i)),
            Fault::RequestsLost => self.sim.repair_oneway(host_name(i), store::HOST),
            Fault::Held => self.sim.release(host_name(i), store::HOST),
            _ => {
                self.is_slow[i] = false;
                self.set_latency(i, self.usual[i]);
            }
        }
        self.note(What::Link(i, true));
    }

    fn set_latency(&self, i: usize, way: Millis) {
        let (a, b) = (host_name(i), store::HOST);
        self.sim.set_link_latency(a, b, millis(way));
    }

    /// Kills an instance, if it runs.
    fn crash(&mut self, i: usize) {
        if self.sim.is_host_running(host_name(i)) {
            self.sim.crash(host_name(i));
            self.note(What::Crashed(self.instances[i].life()));
        }
    }

    fn finish(self) -> Record {
        self.freeze();
        let mut entries = self.history.entries();
        assert!(entries.iter().any(|e| e.at >= CALM));
        entries.shrink_to_fit();
        Record {
            entries,
            clocks: self.plan.clocks,
            store_clock: self.plan.store_clock,
            answers: self.store.answers(),
        }
    }
}

thread_local! {
    /// Panics on this thread that no task was told to make.
    static UNEXPECTED: Cell<u32> = const { Cell::new(0) };
}

/// Tasks panic by the thousand; what panics otherwise is a fault of the harness or the crate.
fn keep_simulated_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&fleet::PANIC) {
                UNEXPECTED.set(UNEXPECTED.get() + 1);
                usual(info);
            }
        }));
    });
}
