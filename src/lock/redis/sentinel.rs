//! A primary that sentinels watch, and move.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use deadpool_redis::Pool;
use deadpool_redis::redis::{self, ConnectionInfo, RedisConnectionInfo, RedisResult};
use tokio::task::JoinSet;

use crate::lock::redis::address::Address;
use crate::lock::redis::dial::Dial;
use crate::lock::redis::fault::{self, Fault, Phase};

/// A host and a port.
type At = (String, u16);

/// Sentinels, and the primary that they named last.
pub(super) struct Sentinels {
    /// The primary's rights and TLS; TLS of the sentinels too.
    address: Address,
    hosts: Vec<At>,
    name: String,
    dial: Dial,
    // Held to compare and set, never across an await.
    primary: Mutex<Option<(At, Pool)>>,
}

impl Sentinels {
    pub(super) fn new(address: &Address, hosts: &[At], name: &str, dial: &Dial) -> Self {
        Self {
            address: address.clone(),
            hosts: hosts.to_vec(),
            name: name.to_owned(),
            dial: dial.clone(),
            primary: Mutex::default(),
        }
    }

    /// Asks where the primary is now, and gives connections to it.
    pub(super) async fn pool(&self) -> Result<Pool, Fault> {
        let at = self.resolve().await?;
        let mut primary = self.primary();
        if let Some((known, pool)) = &*primary
            && *known == at
        {
            return Ok(pool.clone());
        }
        let address = self.address.at(&at.0, at.1);
        let pool = self.dial.pool(address.info(), &address);
        let pool = pool.map_err(|e| fault::cannot_be_used(e.to_string()))?;
        *primary = Some((at, pool.clone()));
        Ok(pool)
    }

    /// Asks where the primary is now.
    pub(super) async fn primary_address(&self) -> Result<Address, Fault> {
        let (host, port) = self.resolve().await?;
        Ok(self.address.at(&host, port))
    }

    /// Connections to the primary that was named last.
    pub(super) fn known(&self) -> Option<Pool> {
        self.primary().as_ref().map(|(_, pool)| pool.clone())
    }

    /// Asks all sentinels at once. More than half of them decide; if so many do not answer, most
    /// of those that do: a sentinel that is cut off from the others may not know yet.
    async fn resolve(&self) -> Result<At, Fault> {
        let mut asked = JoinSet::new();
        for (host, port) in &self.hosts {
            let info = self.address.at(host, *port).info().clone();
            asked.spawn(ask(info, self.name.clone(), self.dial.clone()));
        }
        let mut votes: HashMap<At, usize> = HashMap::new();
        let mut failure = None;
        let mut is_unknown = false;
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(Some(at))) => {
                    let votes = votes.entry(at.clone()).or_default();
                    *votes += 1;
                    if *votes > self.hosts.len() / 2 {
                        return Ok(at);
                    }
                }
                Ok(Ok(None)) => is_unknown = true,
                Ok(Err(error)) => failure = Some(fault::classify(&error, Phase::Connect)),
                // Only a runtime that ends cancels it.
                Err(_) => {}
            }
        }
        match votes.into_iter().max_by_key(|(_, votes)| *votes) {
            Some((at, _)) => Ok(at),
            None if is_unknown => Err(fault::unknown_primary()),
            None => Err(fault::no_sentinel(failure)),
        }
    }

    fn primary(&self) -> MutexGuard<'_, Option<(At, Pool)>> {
        // A value is set whole or not at all.
        self.primary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks one sentinel; `None` if it knows no primary of that name.
async fn ask(info: ConnectionInfo, name: String, dial: Dial) -> RedisResult<Option<At>> {
    // Sentinels have no databases, and seldom a password: one that wants it gets the primary's.
    let rights = info.redis_settings().clone().set_db(0);
    let bare = info
        .clone()
        .set_redis_settings(RedisConnectionInfo::default());
    let mut question = redis::cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(name);
    match dial.ask_once(&bare, &question).await {
        Err(error) if error.code() == Some("NOAUTH") && rights.password().is_some() => {
            let info = info.set_redis_settings(rights);
            dial.ask_once(&info, &question).await
        }
        answer => answer,
    }
}
