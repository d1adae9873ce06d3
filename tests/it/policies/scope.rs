//! On how many instances a task runs, and in how many parts.

use std::sync::Arc;

use tasklock::{Decision, Event, LockOperation, Outcome, Scope};

use super::{policy, seconds};
use crate::support::{Bench, Fault, ScriptedLock, clock_and_lock, instance, pass};
use Decision::Overlap as Overlapped;
use Outcome::Success;

#[tokio::test(start_paused = true)]
async fn a_task_of_every_instance_runs_on_each_and_asks_no_lock() {
    let (clock, lock) = clock_and_lock();
    let lock = ScriptedLock::new(lock);
    let fleet: Vec<Bench> = (0..3).map(|_| instance(&clock, lock.clone())).collect();
    for bench in &fleet {
        let everywhere = policy().scope(Scope::EveryInstance);
        bench.task_with("t", "*/10 * * * * *", seconds(60), everywhere, |_| async {
            pass(15.0).await;
            Ok(())
        });
        bench.start().await;
    }
    lock.everything(Fault::NotSent);
    pass(66.0).await;
    for bench in &fleet {
        assert_eq!(bench.fired("t"), ["10:00:10", "10:00:30", "10:00:50"]);
        let overlapped = bench
            .seen
            .decisions("t")
            .iter()
            .filter(|d| **d == Overlapped)
            .count();
        assert_eq!(overlapped, 3, "its own runs do not overlap");
        assert_eq!(bench.seen.outcomes("t"), [Success, Success, Success]);
        let tokens: Vec<_> = bench
            .seen
            .starts("t")
            .iter()
            .map(|r| r.fencing_token)
            .collect();
        assert!(tokens.is_sorted());
    }
    assert_eq!(lock.asked(LockOperation::Acquire, "t"), 0);
}

#[tokio::test(start_paused = true)]
async fn each_part_of_a_task_runs_once_and_instances_share_them() {
    const PARTS: u32 = 12;
    let (clock, lock) = clock_and_lock();
    let parts: Arc<std::sync::Mutex<Vec<(i64, u32)>>> = Arc::default();
    // Who comes first to a part depends on the names alone.
    let named = |name| Bench::on(clock.clone(), lock.clone(), |b| b.instance_id(name));
    let fleet = ["host-a:1", "host-b:1", "host-c:1"].map(named);
    for bench in &fleet {
        let parts = parts.clone();
        let sharded = policy().scope(Scope::Sharded(PARTS));
        bench.task_with("t", "*/10 * * * * *", seconds(60), sharded, move |ctx| {
            let shard = ctx.shard().unwrap();
            assert_eq!(shard.count, PARTS);
            parts
                .lock()
                .unwrap()
                .push((ctx.fire_time().timestamp(), shard.index));
            async {
                pass(2.0).await;
                Ok(())
            }
        });
        assert_eq!(bench.scheduler.list_tasks(), ["t"]);
        bench.start().await;
    }
    pass(51.0).await;
    assert_eq!(fleet[0].scheduler.handle().tasks().len(), 1);
    let running: usize = fleet
        .iter()
        .map(|b| b.scheduler.handle().tasks()[0].running.len())
        .sum();
    assert_eq!(running, PARTS as usize);
    pass(5.0).await;
    let mut parts = parts.lock().unwrap().clone();
    parts.sort();
    let all = parts.len();
    parts.dedup();
    assert_eq!(
        (all, parts.len()),
        (5 * PARTS as usize, all),
        "each part once"
    );
    for bench in &fleet {
        let runs = bench.seen.starts("t");
        assert!(
            (10..=30).contains(&runs.len()),
            "{} of {all} runs here",
            runs.len()
        );
        assert!(runs.iter().all(|run| run.lateness < seconds(1)));
        assert_eq!(bench.seen.decisions("t").len(), 5 * PARTS as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_goes_on_does_not_hold_up_the_others() {
    let bench = Bench::new();
    let sharded = policy().scope(Scope::Sharded(4));
    bench.task_with(
        "t",
        "*/10 * * * * *",
        seconds(600),
        sharded,
        |ctx| async move {
            if ctx.shard().unwrap().index == 0 {
                pass(25.0).await;
            }
            Ok(())
        },
    );
    bench.start().await;
    pass(35.0).await;
    let of = |index| {
        bench
            .seen
            .starts("t")
            .iter()
            .filter(|r| r.shard.unwrap().index == index)
            .count()
    };
    assert_eq!([of(0), of(1), of(2), of(3)], [1, 3, 3, 3]);
    assert_eq!(
        bench
            .seen
            .decisions("t")
            .iter()
            .filter(|d| **d == Overlapped)
            .count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn instances_that_divide_a_task_differently_notice_each_other() {
    let (clock, lock) = clock_and_lock();
    let fleet: Vec<Bench> = (0..2).map(|_| instance(&clock, lock.clone())).collect();
    for (bench, parts) in fleet.iter().zip([4, 8]) {
        let sharded = policy().scope(Scope::Sharded(parts));
        bench.task_with("t", "*/10 * * * * *", seconds(60), sharded, |_| async {
            Ok(())
        });
        bench.start().await;
    }
    pass(60.0).await;
    // At the latest that one which is always second to claim a part.
    let differs = |e: &Event| matches!(e, Event::SpecDiffers { is_new: true, .. });
    let events = fleet.iter().flat_map(|bench| bench.seen.events());
    assert!(events.into_iter().any(|event| differs(&event)));
}
