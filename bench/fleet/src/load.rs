//! What firings cost the store.

use anyhow::Result;
use serde_json::{Value, json};
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;

use crate::options::Options;
use crate::replicas;
use crate::trial::{Seen, Trial};

pub fn run(options: &Options) -> Result<()> {
    let server = RedisServer::start()?;
    for tasks in options.tasks(&[1, 1_000, 10_000], &[1_000]) {
        for replicas in options.replicas(&[1, 3], &[1]) {
            let trial = Trial {
                period: if tasks > 2_000 { 4 } else { 2 },
                ..replicas::trial(&server, tasks, replicas, options.rounds(5, 3))
            };
            let seen = trial.run(&server)?;
            println!("{}", line(&trial, &seen));
        }
    }
    Ok(())
}

fn line(trial: &Trial, seen: &Seen) -> Value {
    let mut line = replicas::line("redis", trial, seen);
    line["longest_script_us"] = seen.longest_script_us.into();
    // Read events of the server: a request that is larger than its buffer takes several.
    let reads = seen.grown("total_reads_processed") / seen.seconds / trial.replicas as f64;
    line["reads_per_instance_and_second"] = round(reads).into();
    // One is the harness's, which asks.
    let connections = seen.after.number("connected_clients").unwrap_or(f64::NAN) - 1.0;
    line["connections_per_instance"] = round(connections / trial.replicas as f64).into();
    line["bytes_in_per_firing"] = seen.per_firing(seen.grown("total_net_input_bytes")).into();
    line["bytes_out_per_firing"] = seen.per_firing(seen.grown("total_net_output_bytes")).into();
    let started = seen.sum("decisions", "started").max(1.0);
    let requests = |word: &str| round(seen.sum("requests", word) / started);
    line["requests_per_firing"] = json!({
        "acquire": requests("acquire"), "renew": requests("renew"), "release": requests("release"),
    });
    line
}
