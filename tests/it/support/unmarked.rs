//! The scheme without its defence: a lock that forgets which instants were fired.

use redis::aio::MultiplexedConnection;
use tasklock::{
    Acquired, Claim, Completion, Grant, LastFired, Lock, RedisLock, Released, Renewed, Result,
    TaskName, async_trait,
};
use tokio::sync::OnceCell;

/// A `RedisLock` whose marker is deleted before each claim: `SET NX EX`, run, owner-checked `DEL`.
#[derive(Debug)]
pub struct Unmarked {
    lock: RedisLock,
    url: String,
    connection: OnceCell<MultiplexedConnection>,
}

impl Unmarked {
    pub fn new(lock: RedisLock, url: &str) -> Self {
        Self {
            lock,
            url: url.to_owned(),
            connection: OnceCell::new(),
        }
    }

    async fn forget(&self, claims: &[Claim]) {
        let connect = async {
            let client = redis::Client::open(self.url.as_str()).unwrap();
            client.get_multiplexed_async_connection().await.unwrap()
        };
        let mut connection = self.connection.get_or_init(|| connect).await.clone();
        let mut del = redis::cmd("DEL");
        for claim in claims {
            del.arg(format!("{{task:lock:{}}}:state", claim.task()));
        }
        let _: i64 = del.query_async(&mut connection).await.unwrap();
    }
}

#[async_trait]
impl Lock for Unmarked {
    async fn acquire(&self, claim: &Claim) -> Result<Acquired> {
        self.forget(std::slice::from_ref(claim)).await;
        self.lock.acquire(claim).await
    }

    async fn acquire_all(&self, claims: &[Claim]) -> Vec<Result<Acquired>> {
        self.forget(claims).await;
        self.lock.acquire_all(claims).await
    }

    async fn renew(&self, grant: &Grant) -> Result<Renewed> {
        self.lock.renew(grant).await
    }

    async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released> {
        self.lock.release(grant, completion).await
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

    fn describe(&self) -> String {
        format!("{}, without its marker", self.lock.describe())
    }
}
