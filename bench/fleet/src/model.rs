//! What a fleet would cost its store: computed from what each request was measured to cost, and from
//! who asks what when instances share the tasks.
//!
//! ```text
//! task due   the one that goes first        claim, granted        release
//!            each of the R - 1 others       look, and no claim
//! nothing    each of the R, each second     PING
//! ```
//! It knows no network, no instance that is late, and no claim that is lost; a fleet that is measured
//! beside it says what that leaves out. It draws no random numbers.

use anyhow::Result;
use serde_json::{Value, json};
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;

use crate::capacity::{self, Cost, Shape};
use crate::options::Options;
use crate::{replicas, turns};

/// Seconds between two firings of a task in the table: each minute, all on the same second.
const PERIOD_S: f64 = 60.0;
const TASKS_PER_CALL: usize = 128;
const TASKS_PER_REQUEST: usize = 1_024;

pub fn run(options: &Options) -> Result<()> {
    let costs = Costs::of(&capacity::report(options)?);
    for line in costs.lines() {
        println!("{line}");
    }
    let server = RedisServer::start()?;
    for replicas in options.replicas(&[1, 3, 8], &[1, 3]) {
        println!("{}", beside_measured(&server, &costs, replicas, options)?);
    }
    for replicas in [1, 3, 8, 100, 1_000] {
        for tasks in [1_000, 10_000, 100_000, 1_000_000] {
            let shares = turns::shares(replicas, tasks);
            for primaries in [1, 16] {
                let fleet = Fleet {
                    shares: &shares,
                    primaries,
                    period_s: PERIOD_S,
                };
                println!("{}", fleet.line(&costs));
            }
        }
    }
    Ok(())
}

/// What is paid for a request, for each call in it, and for each task in a call: microseconds of the
/// server's processor, or commands by its count.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Price {
    request: f64,
    call: f64,
    task: f64,
}

impl Price {
    /// From what a task costs in each [`Shape`]: three equations. What noise makes negative is nothing.
    fn of(single: f64, calls: f64, slots: f64) -> Self {
        let apart = |alone: f64, shared: f64, by: usize| {
            let by = by as f64;
            ((alone - shared) * by / (by - 1.0)).max(0.0)
        };
        let request = apart(single, slots, TASKS_PER_REQUEST);
        let call = apart(slots, calls, TASKS_PER_CALL);
        let of_many = request / TASKS_PER_REQUEST as f64 + call / TASKS_PER_CALL as f64;
        Self {
            request,
            call,
            task: (calls - of_many).max(0.0),
        }
    }

    fn times(self, asked: Asked) -> f64 {
        self.request * asked.requests + self.call * asked.calls + self.task * asked.tasks
    }

    fn line(self) -> Value {
        json!({"request": round(self.request), "call": round(self.call), "task": round(self.task)})
    }
}

/// How much of one kind is asked.
#[derive(Debug, Clone, Copy)]
struct Asked {
    requests: f64,
    calls: f64,
    tasks: f64,
}

#[derive(Debug, Clone, Copy)]
struct Kind {
    server_us: Price,
    commands: Price,
}

#[derive(Debug)]
struct Costs {
    grant: Kind,
    release: Kind,
    look: Kind,
    ping_us: f64,
}

impl Costs {
    fn of(costs: &[Cost]) -> Self {
        let value = |operation: &str, shape: Shape, of: fn(&Cost) -> f64| {
            let is_it = |cost: &&Cost| cost.operation == operation && cost.shape == shape;
            costs.iter().find(is_it).map_or(f64::NAN, of)
        };
        let kind = |operation: &str| {
            let price = |of: fn(&Cost) -> f64| {
                let [single, calls, slots] = Shape::ALL.map(|shape| value(operation, shape, of));
                Price::of(single, calls, slots)
            };
            Kind {
                server_us: price(|c| c.server_us),
                commands: price(|c| c.commands),
            }
        };
        Self {
            grant: kind("grant"),
            release: kind("release"),
            look: kind("look"),
            ping_us: value("ping", Shape::Single, |c| c.server_us),
        }
    }

    fn lines(&self) -> impl Iterator<Item = Value> {
        let kinds = [
            ("grant", self.grant),
            ("release", self.release),
            ("look", self.look),
        ];
        kinds.into_iter().map(|(name, kind)| {
            json!({"work": "model_price", "of": name, "server_us": kind.server_us.line(),
                "commands": kind.commands.line()})
        })
    }
}

/// A fleet all of whose tasks come due together.
#[derive(Debug, Clone, Copy)]
struct Fleet<'a> {
    /// At how many tasks each instance goes first.
    shares: &'a [usize],
    /// Of the cluster that keeps the tasks; 1 for a server.
    primaries: usize,
    period_s: f64,
}

/// What the busiest server of the store does for one moment on which everything is due.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    commands: f64,
    /// Before the runs may start: claims, and the looks of others.
    asked_us: f64,
    /// After them.
    released_us: f64,
}

impl Fleet<'_> {
    fn tasks(&self) -> usize {
        self.shares.iter().sum()
    }

    fn moment(&self, costs: &Costs) -> Moment {
        let (tasks, mut moment) = (self.tasks(), Moment::default());
        for &first in self.shares {
            let others = tasks - first;
            let claimed = self.asked(first, TASKS_PER_REQUEST);
            // One look is at everything.
            let looked = self.asked(others, usize::MAX);
            let us = |kind: Kind, asked| kind.server_us.times(asked);
            moment.asked_us += us(costs.grant, claimed) + us(costs.look, looked);
            moment.released_us += us(costs.release, claimed);
            for (kind, asked) in [
                (costs.grant, claimed),
                (costs.look, looked),
                (costs.release, claimed),
            ] {
                moment.commands += kind.commands.times(asked);
            }
        }
        let share = 1.0 / self.primaries as f64;
        Moment {
            commands: moment.commands * share,
            asked_us: moment.asked_us * share,
            released_us: moment.released_us * share,
        }
    }

    /// How an instance asks for so many tasks, summed over all servers.
    fn asked(&self, tasks: usize, in_a_request: usize) -> Asked {
        let requests = tasks.div_ceil(in_a_request);
        let (requests, calls) = match self.primaries {
            1 => (requests, tasks.div_ceil(TASKS_PER_CALL)),
            // A request goes to all of them, and a call is for one slot.
            primaries => ((requests * primaries).min(tasks), tasks),
        };
        Asked {
            requests: requests as f64,
            calls: calls as f64,
            tasks: tasks as f64,
        }
    }

    /// An instance asks each server whether it is there in a second in which it asks nothing else.
    fn pings_per_second(&self) -> f64 {
        self.shares.len() as f64 * (1.0 - 1.0 / self.period_s).max(0.0)
    }

    fn line(&self, costs: &Costs) -> Value {
        let moment = self.moment(costs);
        let us = moment.asked_us + moment.released_us;
        let pings = self.pings_per_second();
        let firings = self.tasks() as f64 / self.primaries as f64;
        json!({
            "work": "model", "replicas": self.shares.len(), "tasks": self.tasks(),
            "primaries": self.primaries, "period_s": self.period_s,
            "commands_per_firing": round(moment.commands / firings),
            "server_us_per_firing": round(us / firings),
            "commands_per_second": round(moment.commands / self.period_s + pings),
            "server_cores": round((us / self.period_s + pings * costs.ping_us) / 1e6),
            "idle_server_cores": round(pings * costs.ping_us / 1e6),
            // No sooner can the last of them be known to be granted.
            "moment_ms": round(moment.asked_us / 1000.0),
            "firings_per_core_second": round(firings / us * 1e6),
        })
    }
}

/// The same fleet, computed and measured.
fn beside_measured(
    server: &RedisServer,
    costs: &Costs,
    replicas: usize,
    options: &Options,
) -> Result<Value> {
    let trial = replicas::trial(server, 1_000, replicas, options.rounds(6, 3));
    let fleet = Fleet {
        shares: &turns::shares(replicas, trial.tasks),
        primaries: 1,
        period_s: trial.period.into(),
    };
    let seen = trial.run(server)?;
    let moment = fleet.moment(costs);
    let (tasks, pings) = (
        trial.tasks as f64,
        fleet.pings_per_second() * fleet.period_s,
    );
    let us = moment.asked_us + moment.released_us + pings * costs.ping_us;
    let commands: f64 = seen
        .commands_per_firing()
        .values()
        .filter_map(Value::as_f64)
        .sum();
    let measured_us = seen.per_firing(seen.redis_cpu_s() * 1e6);
    Ok(json!({
        "work": "model_check", "replicas": replicas, "tasks": trial.tasks,
        "period_s": fleet.period_s,
        "commands_per_firing": {"computed": round((moment.commands + pings) / tasks),
            "measured": round(commands)},
        "server_us_per_firing": {"computed": round(us / tasks), "measured": measured_us},
        "busy_cores": round(seen.busy_cores),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs() -> Costs {
        let price = |request, call, task| Price {
            request,
            call,
            task,
        };
        let kind = |server_us, commands| Kind {
            server_us,
            commands,
        };
        let script = price(0.0, 2.0, 3.0);
        Costs {
            grant: kind(price(5.0, 10.0, 10.0), script),
            release: kind(price(5.0, 10.0, 5.0), script),
            look: kind(price(40.0, 4.0, 0.5), price(3.0, 1.0, 0.0)),
            ping_us: 10.0,
        }
    }

    fn moment(replicas: usize, tasks: usize, primaries: usize) -> Moment {
        let fleet = Fleet {
            shares: &turns::shares(replicas, tasks),
            primaries,
            period_s: 60.0,
        };
        fleet.moment(&costs())
    }

    #[test]
    fn a_price_is_found_again() {
        let price = Price {
            request: 40.0,
            call: 10.0,
            task: 2.0,
        };
        let (few, many) = (40.0 / 1_024.0, 10.0 / 128.0);
        let found = Price::of(52.0, few + many + 2.0, few + 12.0);
        for (found, real) in [
            (found.request, price.request),
            (found.call, price.call),
            (found.task, price.task),
        ] {
            assert!((found - real).abs() < 1e-9, "{found} {real}");
        }
    }

    #[test]
    fn one_instance_claims_in_full_calls_and_looks_at_nothing() {
        let moment = moment(1, 256, 1);
        assert_eq!(moment.commands, 2.0 * (2.0 * 2.0 + 256.0 * 3.0));
        assert_eq!(moment.asked_us, 5.0 + 2.0 * 10.0 + 256.0 * 10.0);
    }

    #[test]
    fn each_further_instance_adds_a_look_at_what_others_go_first() {
        let at = |replicas| moment(replicas, 12_800, 1).asked_us;
        let look = 12_800.0 * (0.5 + 4.0 / 128.0);
        for replicas in [2, 10] {
            let expected = at(1) + (replicas - 1) as f64 * look;
            assert!((at(replicas) / expected - 1.0).abs() < 0.02, "{replicas}");
        }
    }

    #[test]
    fn a_cluster_without_tags_shares_the_work_in_calls_of_one() {
        let moment = moment(1, 1_024, 16);
        assert_eq!(moment.asked_us, (16.0 * 5.0 + 1_024.0 * 20.0) / 16.0);
    }
}
