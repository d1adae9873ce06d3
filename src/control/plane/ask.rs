//! Commands: asked of any instance or of one, taken by one, answered once.

use std::time::Duration;

use crate::control::audit::AuditResult;
use crate::control::by::By;
use crate::control::command::{Answer, Ask, Command, Receipt, RunNow};
use crate::control::plane::{ControlPlane, check_instance};
use crate::control::rules::MOST_SKIPPED;
use crate::control::shelf::{COMMANDS, decode, encode};
use crate::error::{Error, ErrorKind, Result};
use crate::fleet::{Expected, Record, Version, Write, Written};
use crate::lock::FencingToken;
use crate::random::random_bits;
use crate::task::{RunId, TaskName};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(3600);
/// How long that of a command with a key of its own is.
const KEPT_BY_KEY: Duration = Duration::from_secs(86_400);
/// How long who asks waits for the answer of an instance that has taken a command.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long a command may be taken that nobody waits for any more.
const MARGIN: Duration = Duration::from_secs(5);
/// How often the record is read that ought to have changed.
const LOOK: Duration = Duration::from_millis(500);
/// The longest patience.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3600);
/// How long instances may take to take what is not a run.
const PATIENCE: Duration = Duration::from_secs(5);

struct Wish<'a> {
    id: String,
    ask: Ask,
    by: &'a By,
    target: Option<String>,
    patience: Duration,
    keep: Duration,
}

impl ControlPlane {
    /// Has a task run now, on an instance that has it, and waits until one has said what it does. Dropped
    /// before that, the command stands: [`RunNow::idempotency_key`] finds it again.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// use tasklock::{Answer, By, RunNow};
    /// let by = By::new("ana", "rates were stale")?;
    /// let receipt = control.run(RunNow::new("fx.rates", &by).params(r#"{"full":true}"#)).await?;
    /// if let Answer::Accepted(accepted) = receipt.answer {
    ///     println!("{:?} on {} after {:?}", accepted.runs, accepted.instance, accepted.after);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`] and [`ErrorKind::InvalidConfig`] for what cannot be; what the store
    /// says otherwise. That nobody takes it, or that it is refused, is an answer. After
    /// [`ErrorKind::StoreAmbiguous`] nobody knows whether it was taken, as the store was away or has lost
    /// its data.
    pub async fn run(&self, run: RunNow) -> Result<Receipt> {
        let ask = run.ask(self.clock.now())?;
        if let Some(instance) = &run.instance {
            check_instance(instance)?;
        }
        if run.patience > LONGEST_PATIENCE {
            let text = format!("a command is taken within {LONGEST_PATIENCE:?}, or not at all");
            return Err(Error::new(ErrorKind::InvalidConfig, text));
        }
        let id = match (&run.key, ask.task()) {
            (Some(key), Some(task)) => format!("run/{task}/{}", checked_key(key)?),
            _ => self.new_id()?,
        };
        let keep = if run.key.is_some() { KEPT_BY_KEY } else { KEPT };
        self.ask(Wish {
            id,
            ask,
            by: &run.by,
            target: run.instance,
            patience: run.patience,
            keep,
        })
        .await
    }

    /// Asks a run to end, wherever it is, and drops it after `grace`: by its policy's
    /// [`cancel_grace`](crate::Policy::cancel_grace) for `None`, at once for zero. It hears of it through
    /// [`RunContext::cancelled`](crate::RunContext::cancelled), and is not run again by its recovery
    /// policy.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// # use std::time::Duration;
    /// for run in control.instances().await?.iter().flat_map(|i| &i.running) {
    ///     let receipt = control.cancel(run.run_id, Some(Duration::from_secs(10)), &by).await?;
    ///     println!("{:?}", receipt.answer);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run). A run that has ended is taken by nobody.
    pub async fn cancel(&self, run_id: RunId, grace: Option<Duration>, by: &By) -> Result<Receipt> {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let grace_ms = grace.map(ms);
        self.ask_any(Ask::Cancel { run_id, grace_ms }, by).await
    }

    /// Skips the next `count` firings of a task, 1 to 100, in the whole fleet: an instance that has the
    /// task says which fire times these are, after those that are skipped already.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// if let Answer::Accepted(accepted) = control.skip("invoices", 2, &by).await?.answer {
    ///     println!("skips {:?}", accepted.skipped);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn skip(&self, task: &str, count: usize, by: &By) -> Result<Receipt> {
        let task: TaskName = task.parse()?;
        if !(1..=MOST_SKIPPED).contains(&count) {
            let text =
                format!("{count} firings of task {task} cannot be skipped: 1 to {MOST_SKIPPED}");
            return Err(Error::new(ErrorKind::InvalidConfig, text));
        }
        self.ask_any(Ask::Skip { task, count }, by).await
    }

    /// Ends the lease of a task's scheduled run that was granted with this fencing token, whoever has
    /// it, unless the task was granted anew since. Refused while the instance that runs it says that it
    /// lives, unless `force`: it may still be working when the next run starts.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// let fence = FencingToken::new(1_795_220_851_004_123); // as it was seen
    /// let answer = control.unlock("invoices", fence, false, &by).await?.answer;
    /// println!("{:?}", answer.refusal());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn unlock(
        &self,
        task: &str,
        fence: FencingToken,
        force: bool,
        by: &By,
    ) -> Result<Receipt> {
        let ask = Ask::Unlock {
            task: task.parse()?,
            fencing_token: fence.get(),
            force,
        };
        self.ask_any(ask, by).await
    }

    /// What became of a command. `None` if nobody asked for it, or nobody took it, or that was long ago.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "why")?;
    /// # let id = String::new();
    /// let answer = control.receipt(&id).await?.map(|receipt| receipt.answer);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn receipt(&self, id: &str) -> Result<Option<Receipt>> {
        let Some(record) = self.store.get(COMMANDS, id).await? else {
            return Ok(None);
        };
        Ok(Some(Receipt {
            id: id.to_owned(),
            answer: answer_in(&read(&record)?),
        }))
    }

    async fn ask_any(&self, ask: Ask, by: &By) -> Result<Receipt> {
        let id = self.new_id()?;
        let (target, patience, keep) = (None, PATIENCE, KEPT);
        self.ask(Wish {
            id,
            ask,
            by,
            target,
            patience,
            keep,
        })
        .await
    }

    fn new_id(&self) -> Result<String> {
        Ok(RunId::new(self.clock.now(), random_bits()?).to_string())
    }

    async fn ask(&self, wish: Wish<'_>) -> Result<Receipt> {
        let Wish {
            id,
            ask,
            by,
            target,
            patience,
            keep,
        } = wish;
        let (action, task, detail) = (ask.action(), ask.task().cloned(), ask.detail());
        if let Some(record) = self.store.get(COMMANDS, &id).await? {
            // Asked for before, by the same key.
            return self.wait(id, record.version, patience).await;
        }
        let asked = AuditResult::Asked;
        self.append(action, task.as_ref(), detail.clone(), by, Some(&id), asked)
            .await?;
        let command = Command {
            id: id.clone(),
            asked: self.clock.now(),
            by: by.clone(),
            target,
            keep_s: keep.as_secs(),
            ask,
            taken: None,
            answer: None,
        };
        // By the store's clock, so that nobody's clock matters: it is withdrawn before, unless whoever
        // asked is gone.
        let write = Write::put(COMMANDS, &id, encode(&command)?)
            .only_if(Expected::Absent)
            .lasting(patience + MARGIN);
        let version = match self.store.write(&write).await {
            Ok(Written::Done(version)) => version,
            Ok(Written::Refused(Some(record))) => record.version,
            Ok(Written::Refused(None)) => return Err(lost(&id)),
            Err(error) => {
                // It may have been written, and is not to be written twice.
                let found = self.store.get(COMMANDS, &id).await;
                found
                    .ok()
                    .flatten()
                    .map(|record| record.version)
                    .ok_or(error)?
            }
        };
        let receipt = self.wait(id, version, patience).await?;
        if receipt.answer == Answer::NotTaken {
            let result = AuditResult::NotTaken;
            // It is known to whoever asked; the trail may miss it.
            let _ = self
                .append(action, task.as_ref(), detail, by, Some(&receipt.id), result)
                .await;
        }
        Ok(receipt)
    }

    /// Waits until a command was answered, or withdraws it when nobody has taken it in time.
    async fn wait(&self, id: String, written: Version, patience: Duration) -> Result<Receipt> {
        let begun = self.clock.monotonic();
        let mut seen = self.store.changed(0).await;
        let mut taken_at = None;
        let mut last_answer = None;
        loop {
            let now = self.clock.monotonic();
            let found = match self.store.get(COMMANDS, &id).await {
                // The store may be back before the time is over.
                Err(error) if error.is_transient() => Err(error),
                Err(error) => return Err(error),
                Ok(None) => {
                    // What was taken may be lost, with the store's data; it was taken all the same.
                    if let Some(answer) = last_answer {
                        return Ok(Receipt { id, answer });
                    }
                    // It ends by itself only later, and a shelf that it was on knows so.
                    let is_early = now.saturating_sub(begun) < patience;
                    if is_early || self.is_lost(written).await? {
                        return Err(forgotten(&id));
                    }
                    let answer = Answer::NotTaken;
                    return Ok(Receipt { id, answer });
                }
                Ok(Some(record)) => Ok((read(&record)?, record.version)),
            };
            let waited = now.saturating_sub(begun);
            match found {
                Ok((command, _)) if command.answer.is_some() => {
                    return Ok(Receipt {
                        id,
                        answer: answer_in(&command),
                    });
                }
                Ok((command, _)) if command.taken.is_some() => {
                    let since = *taken_at.get_or_insert(now);
                    last_answer = Some(answer_in(&command));
                    if now.saturating_sub(since) >= ANSWER_WITHIN {
                        return Ok(Receipt {
                            id,
                            answer: answer_in(&command),
                        });
                    }
                }
                Ok((_, version)) if waited >= patience => {
                    let withdraw = Write::remove(COMMANDS, &id)
                        .only_if(Expected::At(version))
                        .quietly();
                    if let Written::Done(_) = self.store.write(&withdraw).await? {
                        return Ok(Receipt {
                            id,
                            answer: Answer::NotTaken,
                        });
                    }
                    // Somebody took it at the last moment.
                    continue;
                }
                Err(error) if waited >= patience.max(ANSWER_WITHIN) => return Err(error),
                _ => {}
            }
            let left = patience
                .saturating_sub(waited)
                .clamp(Duration::from_millis(1), LOOK);
            tokio::select! {
                now_seen = self.store.changed(seen) => seen = now_seen,
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    /// Whether the store has lost what was written to the commands at this version.
    async fn is_lost(&self, written: Version) -> Result<bool> {
        Ok(self.store.list(COMMANDS, written).await?.is_whole)
    }

    /// Changes a rule, as long as others do not change it at the same moment. `change` says for how long
    /// it is kept then, or that there is nothing to change.
    pub(super) async fn change(
        &self,
        key: &str,
        change: impl Fn(&mut crate::control::rules::Rule) -> Option<Duration>,
    ) -> Result<bool> {
        use crate::control::rules::Rule;
        use crate::control::shelf::RULES;
        for _ in 0..10 {
            let Some(record) = self.store.get(RULES, key).await? else {
                return Ok(false);
            };
            let Ok(mut rule) = Rule::read(&record) else {
                // Nobody follows what cannot be read.
                self.store.write(&Write::remove(RULES, key)).await?;
                return Ok(false);
            };
            let Some(keep) = change(&mut rule) else {
                return Ok(false);
            };
            let write = Write::put(RULES, key, encode(&rule)?)
                .only_if(Expected::At(record.version))
                .lasting(keep);
            if let Written::Done(_) = self.store.write(&write).await? {
                return Ok(true);
            }
        }
        Err(super::not_written(key))
    }
}

fn answer_in(command: &Command) -> Answer {
    match (&command.answer, &command.taken) {
        (Some(answer), _) => answer.clone(),
        (None, Some(taken)) => Answer::Taken {
            instance: taken.by.clone(),
            runs: taken.runs.clone(),
        },
        (None, None) => Answer::NotTaken,
    }
}

fn read(record: &Record) -> Result<Command> {
    decode(&record.value).map_err(|malformed| {
        let text = format!(
            "the command {:?} cannot be read: {}",
            record.key, malformed.0
        );
        Error::new(ErrorKind::StoreProtocol, text)
    })
}

fn lost(id: &str) -> Error {
    let text = format!("the command {id:?} was there and was not: ask again");
    Error::new(ErrorKind::StoreRefused, text)
}

fn forgotten(id: &str) -> Error {
    let text = format!(
        "the fleet's store has forgotten the command {id:?}, as it has lost its data: nobody knows whether \
         an instance had taken it"
    );
    Error::new(ErrorKind::StoreAmbiguous, text)
}

fn checked_key(key: &str) -> Result<&str> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    if (1..=64).contains(&key.len()) && key.chars().all(is_fit) {
        return Ok(key);
    }
    let shown: String = key.chars().take(80).collect();
    let text =
        format!("{shown:?} is no idempotency key: 1 to 64 characters of A-Z a-z 0-9 _ . : -");
    Err(Error::new(ErrorKind::InvalidConfig, text))
}
