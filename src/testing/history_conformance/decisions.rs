//! What was decided of firings that did not run.

use super::*;
use crate::event::Decision;
use crate::history::DecisionRecord;

fn decided(case: &Case<'_>, second: i64, decision: Decision, by: &str) -> DecisionRecord {
    // Ten seconds that are a place of their own, as the ring has them.
    let base = case.now.timestamp().div_euclid(10) * 10 - 600 * 10;
    let at = DateTime::from_timestamp(base + second, 0).unwrap_or_default();
    DecisionRecord::new(case.task.clone(), at, 1, decision, by)
}

async fn write(case: &Case<'_>, decisions: impl IntoIterator<Item = DecisionRecord>) -> Outcome {
    let writes = decisions.into_iter().map(HistoryWrite::Decided);
    let writes: Vec<HistoryWrite> = writes.collect();
    Ok(case.history.write(&writes).await?)
}

async fn read(case: &Case<'_>) -> std::result::Result<Vec<DecisionRecord>, Breach> {
    Ok(case.other.decisions(&case.task).await?)
}

pub(super) async fn decisions_are_kept_by_fire_time(case: &Case<'_>) -> Outcome {
    let hostile = Some("x\u{1b}\n\"|{}".to_owned());
    let of = [
        decided(case, 30, Decision::Paused, "a").with_holder(hostile),
        decided(case, 20, Decision::FiredElsewhere, "a"),
        decided(case, 20, Decision::Overlap, "b"),
        decided(case, 0, Decision::Misfired, "a"),
    ];
    let [latest, two_a, two_b, first] = of.clone();
    write(case, [two_b, first, latest, two_a]).await?;
    same(read(case).await?, of.to_vec())?;
    same(case.other.decisions(&fresh_task()).await?, Vec::new())
}

pub(super) async fn a_decision_that_is_written_twice_is_there_once(case: &Case<'_>) -> Outcome {
    let decided = decided(case, 0, Decision::Misfired, "a");
    for _ in 0..2 {
        write(case, [decided.clone(), decided.clone()]).await?;
    }
    same(read(case).await?, vec![decided])
}

pub(super) async fn decisions_on_the_last_fire_times_are_kept(case: &Case<'_>) -> Outcome {
    let all: Vec<_> = (0..210)
        .map(|n| decided(case, n * 10, Decision::Misfired, "a"))
        .collect();
    write(case, all.clone()).await?;
    let mut kept = all.get(10..).unwrap_or_default().to_vec();
    kept.reverse();
    same(read(case).await?, kept)
}

pub(super) async fn many_instances_that_came_late_leave_room_for_those_who_say_more(
    case: &Case<'_>,
) -> Outcome {
    let late = (0..100).map(|n| decided(case, 0, Decision::FiredElsewhere, &format!("i{n}")));
    write(case, late).await?;
    let says_more = decided(case, 0, Decision::StoreDown, "i100");
    write(case, [says_more.clone()]).await?;
    let found = read(case).await?;
    holds(found.contains(&says_more) && found.len() < 100, || {
        format!("{} records", found.len())
    })
}
