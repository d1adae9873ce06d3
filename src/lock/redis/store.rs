//! The servers that keep a lock's records, and who is asked about which task.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::lock::redis::address::Address;
use crate::lock::redis::connection::Channel;
use crate::lock::redis::dial::Dial;
use crate::lock::redis::script::{Answer, Call, Manner, Request, Script};
use crate::lock::redis::server::{Changes, Server};

/// What a connection is kept for. None of them waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Claims,
    Renewals,
    Releases,
}

/// One server, and the connections that are kept to it.
pub(super) struct Node {
    pub(super) server: Arc<Server>,
    claims: Channel,
    renewals: Channel,
    releases: Channel,
}

impl Node {
    pub(super) fn new(server: Server) -> Self {
        let server = Arc::new(server);
        let channel = || Channel::new(server.clone());
        Self {
            claims: channel(),
            renewals: channel(),
            releases: channel(),
            server,
        }
    }

    pub(super) fn channel(&self, purpose: Purpose) -> &Channel {
        match purpose {
            Purpose::Claims => &self.claims,
            Purpose::Renewals => &self.renewals,
            Purpose::Releases => &self.releases,
        }
    }

    /// A connection for what is not urgent: taken from the pool for one call and given back.
    pub(super) fn borrowed(&self) -> Channel {
        Channel::new(self.server.clone())
    }
}

/// All servers of a lock.
pub(super) struct Store {
    node: Node,
    changes: Changes,
}

impl Store {
    pub(super) fn new(address: Address, dial: Dial) -> Result<Self> {
        let changes = Changes::default();
        Ok(Self {
            node: Node::new(Server::new(address, &dial, changes.clone())?),
            changes,
        })
    }

    /// Asks `script` about all requests; one answer for each, in their order.
    pub(super) async fn run(
        &self,
        purpose: Purpose,
        script: &Script,
        requests: &[Request],
        manner: Manner,
    ) -> Vec<Result<Answer, Error>> {
        let channel = self.node.channel(purpose);
        let chunks = requests.chunks(Script::TASKS_PER_CALL);
        let calls: Vec<Call<'_>> = chunks.map(|chunk| chunk.iter().collect()).collect();
        let all: Vec<&Call<'_>> = calls.iter().collect();
        let replies = script.run(channel, &all, manner).await;
        let answers = calls.iter().zip(replies);
        answers
            .flat_map(|(call, reply)| script.spread(channel.address(), call, reply))
            .collect()
    }

    pub(super) fn borrowed(&self) -> Channel {
        self.node.borrowed()
    }

    /// How often a server was found to be another one.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.watch()
    }
}

/// As the lock is described: never with a secret.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.node.server.address, f)
    }
}
