//! What is done elsewhere: a key with an end, and nothing that remembers.

use redis::aio::MultiplexedConnection;
use tasklock::{
    Acquired, Claim, Clock, Completion, Error, ErrorKind, FencingToken, Grant, Holder, LastFired,
    Lock, Released, Renewed, Result, SystemClock, TaskName, async_trait,
};
use tokio::sync::Mutex;

/// Deletes, or extends, what is one's own.
const IF_OWNER: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] then return redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return redis.call('DEL', KEYS[1])";

/// `SET NX EX`, run, `DEL`.
#[derive(Debug)]
pub struct PlainKey {
    url: String,
    checks_owner: bool,
    // Held to connect.
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl PlainKey {
    pub fn new(url: &str, checks_owner: bool) -> Self {
        Self {
            url: url.to_owned(),
            checks_owner,
            connection: Mutex::default(),
        }
    }

    /// The address of the server, which sentinels may know.
    async fn primary(&self) -> redis::RedisResult<String> {
        let Some(rest) = self.url.strip_prefix("redis+sentinel://") else {
            return Ok(self.url.clone());
        };
        let (rights, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(name);
        let mut answer = Ok(String::new());
        for host in hosts.split(',') {
            let client = redis::Client::open(format!("redis://{host}"))?;
            let asked = async {
                let mut sentinel = client.get_multiplexed_async_connection().await?;
                question.query_async::<(String, u16)>(&mut sentinel).await
            };
            answer = asked
                .await
                .map(|(host, port)| format!("redis://{rights}@{host}:{port}"));
            if answer.is_ok() {
                break;
            }
        }
        answer
    }

    async fn ask(&self, cmd: &redis::Cmd) -> Result<redis::Value> {
        let fault = |e: redis::RedisError| Error::new(ErrorKind::StoreAmbiguous, e.to_string());
        let mut connection = {
            let mut slot = self.connection.lock().await;
            match &*slot {
                Some(connection) => connection.clone(),
                None => {
                    let url = self.primary().await.map_err(fault)?;
                    let client = redis::Client::open(url).map_err(fault)?;
                    let new = client.get_multiplexed_async_connection().await;
                    slot.insert(new.map_err(fault)?).clone()
                }
            }
        };
        match cmd.query_async(&mut connection).await {
            Ok(value) => Ok(value),
            Err(e) => {
                *self.connection.lock().await = None;
                Err(fault(e))
            }
        }
    }

    /// Runs `plain`, or the same if the key is still the owner's. False if nothing was there to do.
    async fn change(&self, grant: &Grant, plain: &str, ttl: Option<u64>) -> Result<bool> {
        let mut cmd = redis::cmd(if self.checks_owner { "EVAL" } else { plain });
        if self.checks_owner {
            cmd.arg(IF_OWNER).arg(1).arg(key(grant.task()));
            cmd.arg(grant.token().as_str());
        } else {
            cmd.arg(key(grant.task()));
        }
        cmd.arg(ttl);
        Ok(self.ask(&cmd).await? == redis::Value::Int(1))
    }
}

fn key(task: &TaskName) -> String {
    format!("task:lock:{task}")
}

#[async_trait]
impl Lock for PlainKey {
    async fn acquire(&self, claim: &Claim) -> Result<Acquired> {
        let mut set = redis::cmd("SET");
        set.arg(key(claim.task())).arg(claim.token().as_str());
        set.arg("NX").arg("EX").arg(claim.ttl().as_secs());
        Ok(match self.ask(&set).await? {
            redis::Value::Okay => {
                // It has none of its own: only so that runs can be told apart.
                let fence = FencingToken::new(SystemClock.now().timestamp_micros() as u64);
                Acquired::Granted(Grant::new(claim, fence, 1, claim.ttl()))
            }
            _ => Acquired::Held(Holder {
                owner: None,
                remaining: Some(claim.ttl()),
            }),
        })
    }

    async fn renew(&self, grant: &Grant) -> Result<Renewed> {
        let ttl = grant.ttl().as_secs();
        Ok(match self.change(grant, "EXPIRE", Some(ttl)).await? {
            true => Renewed::Extended,
            false => Renewed::Lost { owner: None },
        })
    }

    async fn release(&self, grant: &Grant, _: Completion) -> Result<Released> {
        Ok(match self.change(grant, "DEL", None).await? {
            true => Released::Freed,
            false => Released::WasGone,
        })
    }

    async fn last_fired(&self, tasks: &[TaskName]) -> Result<Vec<Option<LastFired>>> {
        Ok(vec![None; tasks.len()])
    }

    async fn check(&self) -> Result<()> {
        self.ask(&redis::cmd("PING")).await.map(drop)
    }

    fn describe(&self) -> String {
        format!("a plain key, owner checked: {}", self.checks_owner)
    }
}
