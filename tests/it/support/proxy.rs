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
    request_latency: Mutex<Duration>,
    /// New connections are taken, and dead.
    swallows_new: Mutex<bool>,
    /// How many connections were accepted.
    accepted: Mutex<usize>,
    next_reply: Mutex<NextReply>,
    lost_replies: Mutex<usize>,
}

/// What becomes of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Cut,
    BlackHole,
    HalfOpen,
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
            request_latency: Mutex::default(),
            swallows_new: Mutex::default(),
            accepted: Mutex::default(),
            next_reply: Mutex::new(NextReply::Pass),
            lost_replies: Mutex::default(),
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

    /// Takes new connections and swallows what they say, from now on or no more.
    pub fn black_hole_new(&self, does: bool) {
        *self.wires.swallows_new.lock().unwrap() = does;
    }

    /// Closes all connections to the server, and does not tell the clients.
    pub fn half_open_all(&self) {
        self.strike(Fault::HalfOpen);
    }

    /// Lets the next request reach the server, and closes its connection in place of an answer.
    pub fn lose_next_reply(&self) {
        *self.wires.next_reply.lock().unwrap() = NextReply::Lose;
    }

    /// Holds every reply back for so long.
    pub fn delay(&self, latency: Duration) {
        *self.wires.latency.lock().unwrap() = latency;
    }

    /// Holds every request back, on some connections for so long and on others for less, so that
    /// requests on different connections overtake each other.
    pub fn delay_requests(&self, latency: Duration) {
        *self.wires.request_latency.lock().unwrap() = latency;
    }

    /// How many replies were lost.
    pub fn lost_replies(&self) -> usize {
        *self.wires.lost_replies.lock().unwrap()
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
        if *wires.swallows_new.lock().unwrap() {
            fault.send_replace(Fault::BlackHole);
        }
        wires.faults.lock().unwrap().push(fault);
        let number = {
            let mut accepted = wires.accepted.lock().unwrap();
            *accepted += 1;
            *accepted
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let part = |way| Part {
            way,
            share: (number * 37 % 100) as u32,
            wires: wires.clone(),
        };
        let ahead = pass(from_client, to_server, told.clone(), part(Way::Ahead));
        let back = pass(from_server, to_client, told, part(Way::Back));
        // Whichever ends first takes the other with it: both sockets close.
        tokio::spawn(async move {
            tokio::select! {
                () = ahead => {}
                () = back => {}
            }
        });
    }
}

/// One direction of a connection.
struct Part {
    way: Way,
    /// Of the latency of requests, in percent.
    share: u32,
    wires: Arc<Wires>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Ahead,
    Back,
}

impl Part {
    /// What happens on the way. False if that is the end of it.
    async fn travel(&self) -> bool {
        let wires = &self.wires;
        let latency = if self.way == Way::Ahead {
            *wires.request_latency.lock().unwrap() * self.share / 100
        } else {
            let next = std::mem::replace(&mut *wires.next_reply.lock().unwrap(), NextReply::Pass);
            if next == NextReply::Lose {
                *wires.lost_replies.lock().unwrap() += 1;
                return false;
            }
            *wires.latency.lock().unwrap()
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        true
    }
}

/// Passes bytes on in one direction.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut told: watch::Receiver<Fault>,
    part: Part,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let fault = *told.borrow_and_update();
        match fault {
            Fault::None => {}
            Fault::Cut => return,
            Fault::BlackHole => break hold(told, (from, to)).await,
            Fault::HalfOpen if part.way == Way::Ahead => {
                drop(to);
                break hold(told, from).await;
            }
            Fault::HalfOpen => {
                drop(from);
                break hold(told, to).await;
            }
        }
        let n = tokio::select! {
            biased;
            changed = told.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            read = from.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => n,
            },
        };
        if !part.travel().await || to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// Keeps what there is of a connection open, and dead, until it is cut.
async fn hold<T>(mut told: watch::Receiver<Fault>, _sockets: T) {
    while told.changed().await.is_ok() && *told.borrow_and_update() != Fault::Cut {}
}
