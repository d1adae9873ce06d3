//! The only way to a server, on the port by which others know it. It sees who comes: a replica of
//! the server, a sentinel, or a replica of the service by its user; and lets some of them wait.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Who has opened a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A replica of the server, by its own gate's port.
    Replica(u16),
    Sentinel,
    Client(String),
}

/// Who does not get through: what it sends, or is sent, waits.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub replicas: BTreeSet<u16>,
    pub has_no_sentinels: bool,
    pub clients: BTreeSet<String>,
    /// Connections of fewer cuts are over, with all that waits in them.
    cuts: u64,
}

impl Rules {
    fn hold_back(&self, party: Option<&Party>) -> bool {
        match party {
            Some(Party::Replica(port)) => self.replicas.contains(port),
            Some(Party::Sentinel) => self.has_no_sentinels,
            Some(Party::Client(name)) => self.clients.contains(name),
            None => false,
        }
    }
}

/// A gate; whoever drops it closes it.
#[derive(Debug)]
pub struct Gate {
    port: u16,
    rules: watch::Sender<Rules>,
    accepting: Option<(TcpListener, watch::Receiver<Rules>)>,
    task: Option<JoinHandle<()>>,
}

impl Gate {
    /// Takes a port, before the server is there that has to say it.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (rules, seen) = watch::channel(Rules::default());
        Self {
            port: listener.local_addr().unwrap().port(),
            rules,
            accepting: Some((listener, seen)),
            task: None,
        }
    }

    /// Leads to a port from now on.
    pub fn open(&mut self, upstream: u16) {
        if let Some((listener, rules)) = self.accepting.take() {
            self.task = Some(tokio::spawn(accept(listener, upstream, rules)));
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn change(&self, change: impl FnOnce(&mut Rules)) {
        self.rules.send_modify(change);
    }

    /// Lets everybody through, and what has waited.
    pub fn clear(&self) {
        self.change(|rules| {
            *rules = Rules {
                cuts: rules.cuts,
                ..Rules::default()
            }
        });
    }

    /// Closes all connections, throws away what waits in them, and lets everybody through.
    pub fn cut(&self) {
        self.change(|rules| {
            *rules = Rules {
                cuts: rules.cuts + 1,
                ..Rules::default()
            }
        });
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.cut();
    }
}

async fn accept(listener: TcpListener, upstream: u16, rules: watch::Receiver<Rules>) {
    while let Ok((client, _)) = listener.accept().await {
        let rules = rules.clone();
        tokio::spawn(async move {
            // One that is not there refuses; the gate can only hang up.
            let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await else {
                return;
            };
            if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
                return;
            }
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let cuts = rules.borrow().cuts;
            let party = Arc::default();
            let ahead = Way {
                cuts,
                rules: rules.clone(),
                party: Arc::clone(&party),
                is_ahead: true,
            };
            let back = Way {
                is_ahead: false,
                rules,
                party,
                cuts,
            };
            tokio::select! {
                () = ahead.pass(from_client, to_server) => {}
                () = back.pass(from_server, to_client) => {}
            }
        });
    }
}

/// One direction of a connection.
struct Way {
    rules: watch::Receiver<Rules>,
    cuts: u64,
    // Held to look or to set.
    party: Arc<Mutex<Option<Party>>>,
    is_ahead: bool,
}

impl Way {
    async fn pass(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        let mut chunks = 0;
        while self.may_pass().await {
            let n = tokio::select! {
                biased;
                changed = self.rules.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                read = from.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(n) => n,
                },
            };
            // Whoever has said nothing about itself by then, will not.
            if self.is_ahead && chunks < 8 {
                chunks += 1;
                self.learn(&buffer[..n]);
            }
            if !self.may_pass().await || to.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    }

    /// Waits as long as it has to. False if the connection is cut.
    async fn may_pass(&mut self) -> bool {
        loop {
            {
                let rules = self.rules.borrow_and_update();
                if rules.cuts != self.cuts {
                    return false;
                }
                if !rules.hold_back(self.party.lock().unwrap().as_ref()) {
                    return true;
                }
            }
            if self.rules.changed().await.is_err() {
                return false;
            }
        }
    }

    fn learn(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let mut party = self.party.lock().unwrap();
        if party.is_none() {
            *party = party_of(&text);
        }
    }
}

/// Who says such a thing.
fn party_of(text: &str) -> Option<Party> {
    let word_after = |name: &str| {
        let mut words = text.split("\r\n").skip_while(|w| *w != name);
        words.nth(2)
    };
    if let Some(port) = word_after("listening-port") {
        return Some(Party::Replica(port.parse().ok()?));
    }
    if word_after("SETNAME").is_some_and(|name| name.starts_with("sentinel-")) {
        return Some(Party::Sentinel);
    }
    word_after("AUTH").map(|user| Party::Client(user.to_owned()))
}

#[test]
fn who_comes_is_known_by_what_it_says() {
    let replica = "*3\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$4\r\n6380\r\n";
    assert_eq!(party_of(replica), Some(Party::Replica(6380)));
    let sentinel = "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$21\r\nsentinel-0123abcd-cmd\r\n";
    assert_eq!(party_of(sentinel), Some(Party::Sentinel));
    let client = "*3\r\n$4\r\nAUTH\r\n$1\r\na\r\n$2\r\npw\r\n*1\r\n$4\r\nPING\r\n";
    assert_eq!(party_of(client), Some(Party::Client("a".to_owned())));
    assert_eq!(party_of("*1\r\n$4\r\nPING\r\n"), None);
}
