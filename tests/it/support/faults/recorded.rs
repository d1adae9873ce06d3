//! A lock that writes down what it was asked and what it answered, and where its process may die.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tasklock::{
    Acquired, Claim, ClockOffset, Completion, Grant, LastFired, Lock, Released, Renewed, Result,
    TaskName, Token, async_trait,
};

use super::super::history::{History, What};

/// Where a process kills itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Granted, and not started.
    AfterAcquire,
    /// The run is over, and its lock not given back.
    BeforeRelease,
    /// A renewal is on its way.
    RenewSent,
}

impl Point {
    pub const ALL: [(Point, &'static str); 3] = [
        (Point::AfterAcquire, "after_acquire"),
        (Point::BeforeRelease, "before_release"),
        (Point::RenewSent, "renew_sent"),
    ];
}

#[derive(Debug)]
pub struct Recorded {
    pub lock: Arc<dyn Lock>,
    pub history: Arc<History>,
    pub who: String,
    pub dies_at: Option<Point>,
    /// How often it passes that point alive.
    pub passes: AtomicI64,
}

fn number(token: &Token) -> u64 {
    u64::from_str_radix(&token.as_str()[..15], 16).unwrap_or(0)
}

impl Recorded {
    fn pass(&self, point: Point) {
        if self.dies_at == Some(point) && self.passes.fetch_sub(1, Ordering::Relaxed) <= 0 {
            let word = Point::ALL.iter().find(|p| p.0 == point).map_or("", |p| p.1);
            self.history.note_of(&self.who, What::Kill, word);
            std::process::abort();
        }
    }

    fn ask(&self, task: &TaskName, at: i64, token: &Token, operation: &str) {
        let task = task.as_str();
        self.history
            .note(What::Ask, task, at, number(token), operation);
    }

    fn answer(&self, task: &TaskName, at: i64, token: &Token, operation: &str, word: &str) {
        let (task, word) = (task.as_str(), format!("{operation}:{word}"));
        self.history
            .note(What::Answer, task, at, number(token), &word);
    }
}

fn acquired(answer: &Result<Acquired>) -> &'static str {
    match answer {
        Ok(Acquired::Granted(_)) => "granted",
        Ok(Acquired::AlreadyFired { .. }) => "fired",
        Ok(Acquired::Superseded { .. }) => "superseded",
        Ok(Acquired::Burned) => "burned",
        Ok(Acquired::Held(_)) => "held",
        Ok(Acquired::TooEarly { .. }) => "early",
        Ok(Acquired::TooLate { .. }) => "late",
        Ok(_) => "other",
        Err(_) => "error",
    }
}

#[async_trait]
impl Lock for Recorded {
    async fn acquire(&self, claim: &Claim) -> Result<Acquired> {
        let mut answers = self.acquire_all(std::slice::from_ref(claim)).await;
        answers.remove(0)
    }

    async fn acquire_all(&self, claims: &[Claim]) -> Vec<Result<Acquired>> {
        for c in claims {
            let at = c.fire_time().timestamp_millis();
            self.ask(c.task(), at, c.token(), "acquire");
        }
        let answers = self.lock.acquire_all(claims).await;
        for (c, answer) in claims.iter().zip(&answers) {
            let at = c.fire_time().timestamp_millis();
            let word = acquired(answer);
            self.answer(c.task(), at, c.token(), "acquire", word);
            if word == "granted" {
                self.pass(Point::AfterAcquire);
            }
        }
        answers
    }

    async fn renew(&self, grant: &Grant) -> Result<Renewed> {
        let mut answers = self.renew_all(std::slice::from_ref(grant)).await;
        answers.remove(0)
    }

    async fn renew_all(&self, grants: &[Grant]) -> Vec<Result<Renewed>> {
        for g in grants {
            let at = g.fire_time().timestamp_millis();
            self.ask(g.task(), at, g.token(), "renew");
        }
        let renewal = self.lock.renew_all(grants);
        let on_its_way = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            self.pass(Point::RenewSent);
            std::future::pending().await
        };
        let answers = tokio::select! {
            biased;
            answers = renewal => answers,
            () = on_its_way => Vec::new(),
        };
        for (g, answer) in grants.iter().zip(&answers) {
            let at = g.fire_time().timestamp_millis();
            let word = match answer {
                Ok(Renewed::Extended) => "extended",
                Ok(Renewed::Reasserted) => "reasserted",
                Ok(_) => "lost",
                Err(_) => "error",
            };
            self.answer(g.task(), at, g.token(), "renew", word);
        }
        answers
    }

    async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released> {
        let answers = self.release_all(&[(grant.clone(), completion)]).await;
        answers.into_iter().next().unwrap()
    }

    async fn release_all(&self, ended: &[(Grant, Completion)]) -> Vec<Result<Released>> {
        self.pass(Point::BeforeRelease);
        for (grant, _) in ended {
            let at = grant.fire_time().timestamp_millis();
            self.ask(grant.task(), at, grant.token(), "release");
        }
        let answers = self.lock.release_all(ended).await;
        for ((grant, _), answer) in ended.iter().zip(&answers) {
            let at = grant.fire_time().timestamp_millis();
            let word = match answer {
                Ok(Released::Freed) => "freed",
                Ok(Released::WasGone) => "was_gone",
                Ok(_) => "not_owner",
                Err(_) => "error",
            };
            self.answer(grant.task(), at, grant.token(), "release", word);
        }
        answers
    }

    async fn resume(&self, task: &TaskName) -> Result<()> {
        self.lock.resume(task).await
    }

    async fn last_fired(&self, tasks: &[TaskName]) -> Result<Vec<Option<LastFired>>> {
        self.lock.last_fired(tasks).await
    }

    async fn check(&self) -> Result<()> {
        self.lock.check().await
    }

    fn clock_offset(&self) -> Option<ClockOffset> {
        self.lock.clock_offset()
    }

    async fn store_changed(&self) {
        self.lock.store_changed().await;
    }

    fn describe(&self) -> String {
        self.lock.describe()
    }
}
