//! Several claims, tasks and owners at once.

use super::*;

pub(super) async fn a_batch_is_answered_in_order(case: &Case<'_>) -> Outcome {
    same(case.lock.acquire_all(&[]).await.len(), 0)?;
    // More than stores are likely to handle at once.
    let tasks: Vec<TaskName> = (0..300).map(|_| fresh_task("")).collect();
    let taken = |n: usize| n.is_multiple_of(3);
    for (n, task) in tasks.iter().enumerate() {
        if taken(n) {
            case.granted(&case.claim_on(task, "b", 0)).await?;
        }
    }
    let claims: Vec<Claim> = tasks.iter().map(|t| case.claim_on(t, "a", 0)).collect();
    let answers = case.lock.acquire_all(&claims).await;
    same(answers.len(), claims.len())?;
    let mut grants = Vec::new();
    for (n, (claim, answer)) in claims.iter().zip(answers).enumerate() {
        match answer? {
            Acquired::Granted(grant) if !taken(n) => {
                same(grant.task(), claim.task())?;
                grants.push(grant);
            }
            Acquired::AlreadyFired { .. } if taken(n) => {}
            other => return Err(Breach(format!("claim {n}: {other:?}"))),
        }
    }
    if let Some(grant) = grants.get(7) {
        case.releases(grant, Completion::Succeeded, Released::Freed)
            .await?;
    }
    let renewed = case.lock.renew_all(&grants).await;
    same(renewed.len(), grants.len())?;
    for (n, answer) in renewed.into_iter().enumerate() {
        let expected = if n == 7 {
            Renewed::Lost { owner: None }
        } else {
            Renewed::Extended
        };
        same(answer?, expected)?;
    }
    same(case.lock.renew_all(&[]).await.len(), 0)?;
    let ended: Vec<(Grant, Completion)> = grants
        .into_iter()
        .map(|grant| (grant, Completion::Succeeded))
        .collect();
    let released = case.lock.release_all(&ended).await;
    same(released.len(), ended.len())?;
    for (n, answer) in released.into_iter().enumerate() {
        let expected = match n {
            7 => Released::WasGone,
            _ => Released::Freed,
        };
        same(answer?, expected)?;
    }
    same(case.lock.release_all(&[]).await.len(), 0)
}

pub(super) async fn a_batch_handles_duplicates_one_after_the_other(case: &Case<'_>) -> Outcome {
    let first = case.claim("a", 0);
    let claims = [
        first.clone(),
        first.clone(),
        case.claim("b", 0),
        case.claim("b", 1),
    ];
    let answers: Vec<Acquired> = case
        .lock
        .acquire_all(&claims)
        .await
        .into_iter()
        .collect::<Result<_>>()?;
    match answers.as_slice() {
        [
            Acquired::Granted(one),
            Acquired::Granted(two),
            Acquired::AlreadyFired { .. },
            Acquired::Held(_),
        ] => same(one.fencing_token(), two.fencing_token()),
        other => Err(Breach(format!("{other:?}"))),
    }
}

pub(super) async fn every_allowed_character_makes_a_name_of_its_own(case: &Case<'_>) -> Outcome {
    let allowed = ('a'..='z')
        .chain('A'..='Z')
        .chain('0'..='9')
        .chain("_.:-".chars());
    let stem = fresh_token();
    let mut names: Vec<String> = allowed.map(|c| format!("{}{c}", stem.as_str())).collect();
    names.extend(
        [
            "..".to_owned(),
            ".".to_owned(),
            "-".to_owned(),
            ":".to_owned(),
        ]
        .map(|end| {
            // Traps for stores that make file names or keys of them.
            format!("{}{end}x{end}", stem.as_str())
        }),
    );
    names.push(format!(
        "{}{}",
        stem.as_str(),
        "x".repeat(TaskName::MAX_LEN - 32)
    ));
    for name in &names {
        let task = name.parse()?;
        match case.lock.acquire(&case.claim_on(&task, "a", 0)).await? {
            Acquired::Granted(_) => {}
            other => return Err(Breach(format!("{name}: {other:?}"))),
        }
    }
    Ok(())
}

pub(super) async fn tasks_do_not_disturb_each_other(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 5)).await?;
    let name = format!("{}.x", case.task);
    let neighbour = name.parse()?;
    let other = case.granted(&case.claim_on(&neighbour, "a", 0)).await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    case.renews(&other, Renewed::Extended).await
}

pub(super) async fn check_and_describe_answer(case: &Case<'_>) -> Outcome {
    case.lock.check().await?;
    holds(!case.lock.describe().is_empty(), || {
        "describe() says nothing".to_owned()
    })
}

/// Workers read, yield, change and write a counter, and do so only under the lock.
pub(super) async fn no_update_under_the_lock_is_lost(case: &Case<'_>) -> Outcome {
    const WORKERS: usize = 8;
    const INSTANTS: u64 = 40;
    let counter = Arc::new(Mutex::new(0_u64));
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let owner = format!("worker-{worker}");
        let claims: Vec<Claim> = (0..INSTANTS).map(|n| case.claim(&owner, n)).collect();
        let lock = case.lock.clone();
        let (counter, order) = (counter.clone(), order.clone());
        workers.spawn(async move {
            for claim in claims {
                loop {
                    match lock.acquire(&claim).await? {
                        Acquired::Granted(grant) => {
                            let token = grant.fencing_token();
                            with(&order, |o| o.push((claim.fire_time(), token)));
                            let seen = with(&counter, |c| *c);
                            for _ in 0..=worker {
                                tokio::task::yield_now().await;
                            }
                            with(&counter, |c| *c = seen + 1);
                            lock.release(&grant, Completion::Succeeded).await?;
                            break;
                        }
                        Acquired::AlreadyFired { .. } | Acquired::Superseded { .. } => break,
                        Acquired::Held(_) => tokio::task::yield_now().await,
                        other => return Err(Breach(format!("{other:?}"))),
                    }
                }
                tokio::task::yield_now().await;
            }
            Ok(())
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|e| Breach(format!("a worker panicked: {e}")))??;
    }
    let order = with(&order, std::mem::take);
    same(with(&counter, |c| *c), INSTANTS)?;
    let instants: BTreeSet<_> = order.iter().map(|(instant, _)| *instant).collect();
    same(
        (instants.len(), order.len()),
        (INSTANTS as usize, INSTANTS as usize),
    )?;
    holds(order.is_sorted_by(|(_, a), (_, b)| a < b), || {
        format!("fencing tokens do not grow: {order:?}")
    })
}

fn with<T, R>(cell: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> R {
    f(&mut cell.lock().unwrap_or_else(PoisonError::into_inner))
}
