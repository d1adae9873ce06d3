//! A TCP proxy that breaks connections on purpose.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes bytes between clients and a port of this host.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    wires: Arc<Wires>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Wires {
    upstream: u16,
    /// One for each connection that was ever accepted.
    faults: Mutex<Vec<watch::Sender<Fault>>>,
    latency: Mutex<Duration>,
    /// How many connections were accepted.
    accepted: Mutex<usize>,
    next_reply: Mutex<NextReply>,
}

/// What becomes of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Cut,
    BlackHole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextReply {
    Pass,
    /// Taken from the server, kept from the client, and the connection closed.
    Lose,
}

impl Proxy {
    /// A proxy before `upstream`, on a port of its own.
    pub async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wires = Arc::new(Wires {
            upstream,
            faults: Mutex::default(),
            latency: Mutex::default(),
            accepted: Mutex::default(),
            next_reply: Mutex::new(NextReply::Pass),
        });
        let accepting = tokio::spawn(accept(listener, wires.clone()));
        Self {
            port,
            wires,
            accepting,
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Closes all connections; new ones are served.
    pub fn cut_all(&self) {
        self.strike(Fault::Cut);
    }

    /// Swallows everything on the connections there are, without closing them; new ones are served.
    pub fn black_hole_all(&self) {
        self.strike(Fault::BlackHole);
    }

    /// Lets the next request reach the server, and closes its connection in place of an answer.
    pub fn lose_next_reply(&self) {
        *self.wires.next_reply.lock().unwrap() = NextReply::Lose;
    }

    /// Holds every reply back for so long.
    pub fn delay(&self, latency: Duration) {
        *self.wires.latency.lock().unwrap() = latency;
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> usize {
        *self.wires.accepted.lock().unwrap()
    }

    fn strike(&self, fault: Fault) {
        for wire in self.wires.faults.lock().unwrap().iter() {
            wire.send_replace(fault);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut_all();
    }
}

async fn accept(listener: TcpListener, wires: Arc<Wires>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(("127.0.0.1", wires.upstream)).await else {
            continue;
        };
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (fault, told) = watch::channel(Fault::None);
        wires.faults.lock().unwrap().push(fault);
        *wires.accepted.lock().unwrap() += 1;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let ahead = pass(from_client, to_server, told.clone(), None);
        let back = pass(from_server, to_client, told, Some(wires.clone()));
        // Whichever ends first takes the other with it: both sockets close.
        tokio::spawn(async move {
            tokio::select! {
                () = ahead => {}
                () = back => {}
            }
        });
    }
}

/// Passes bytes on in one direction; replies, if there are `wires`.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut told: watch::Receiver<Fault>,
    wires: Option<Arc<Wires>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = tokio::select! {
            biased;
            _ = told.changed() => match *told.borrow_and_update() {
                Fault::Cut => return,
                Fault::BlackHole => break,
                Fault::None => continue,
            },
            read = from.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => n,
            },
        };
        if let Some(wires) = &wires {
            let next = std::mem::replace(&mut *wires.next_reply.lock().unwrap(), NextReply::Pass);
            if next == NextReply::Lose {
                return;
            }
            let latency = *wires.latency.lock().unwrap();
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
    // Open, and dead, until it is cut.
    while told.changed().await.is_ok() && *told.borrow_and_update() != Fault::Cut {}
}
