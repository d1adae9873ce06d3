//! A TCP proxy that makes a store far away.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tasklock_fleet::lateness::median;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// Passes bytes on, each a while after it came. Bytes under way do not wait for each other.
pub struct Proxy {
    port: u16,
    // Everything ends with it.
    _runtime: Runtime,
}

impl Proxy {
    pub fn start(upstream: u16, delay: Duration) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, upstream, delay));
            }
        });
        Ok(Self {
            port,
            _runtime: runtime,
        })
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The median time of a request that costs the store nothing.
    pub fn round_trip_ms(&self) -> Result<f64> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection().context("nobody behind the proxy")?;
        let mut times = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            let () = redis::cmd("PING").query(&mut connection)?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(median(times))
    }
}

async fn connect(client: TcpStream, upstream: u16, delay: Duration) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::spawn(pass(from_client, to_server, delay));
    tokio::spawn(pass(from_server, to_client, delay));
    Ok(())
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut bytes) = mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((at, bytes)) = bytes.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let due = tokio::time::Instant::now() + delay;
        let bytes = buffer.get(..n).unwrap_or_default().to_vec();
        if sender.send((due, bytes)).is_err() {
            return;
        }
    }
}
