//! A real `redis-server` of this test's own.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server on a free port of 127.0.0.1, stopped when it is dropped.
#[derive(Debug)]
pub struct RedisServer {
    child: Option<Child>,
    port: u16,
    options: RedisOptions,
    dir: TempDir,
    ca: Option<String>,
}

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// Keeps its data in a file, synced at every write, for restarts with it.
    pub is_durable: bool,
    /// The password of the default user.
    pub password: Option<String>,
    /// Rules of further users, as `ACL SETUSER` takes them: `ops on >secret ~* +@all`.
    pub users: Vec<String>,
    /// Speaks TLS, and nothing else, with a certificate of a CA of its own.
    pub is_tls: bool,
    /// More lines for its configuration.
    pub settings: Vec<String>,
    /// Names and values for its environment.
    pub environment: Vec<(String, String)>,
}

impl RedisOptions {
    pub fn start(self) -> RedisServer {
        let dir = tempfile::tempdir().unwrap();
        let ca = self.is_tls.then(|| write_certificates(dir.path()));
        let mut server = RedisServer {
            child: None,
            port: 0,
            options: self,
            dir,
            ca,
        };
        for _ in 0..10 {
            // Free now, and perhaps taken by somebody else before the server binds it.
            server.port = free_port();
            if server.launch().is_ok() {
                return server;
            }
        }
        panic!("no redis-server came up on any of ten ports");
    }
}

impl RedisServer {
    /// A server without persistence, password and TLS.
    pub fn start() -> Self {
        RedisOptions::default().start()
    }

    /// A server that follows this one, and has its data.
    pub fn replica(&self) -> Self {
        let before = self
            .says("INFO replication")
            .matches("state=online")
            .count();
        let replica = RedisOptions {
            settings: vec![format!("replicaof 127.0.0.1 {}", self.port)],
            ..RedisOptions::default()
        }
        .start();
        let give_up = Instant::now() + Duration::from_secs(20);
        while self
            .says("INFO replication")
            .matches("state=online")
            .count()
            <= before
        {
            assert!(Instant::now() < give_up, "no replication");
            std::thread::sleep(Duration::from_millis(20));
        }
        replica
    }

    /// What it answers to a command without spaces in its words; empty if it does not.
    pub fn says(&self, command: &str) -> String {
        ask(&self.dir.path().join("socket"), command).unwrap_or_default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address without user and password.
    pub fn url(&self) -> String {
        let scheme = if self.options.is_tls {
            "rediss"
        } else {
            "redis"
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The certificate of its CA, in PEM form.
    pub fn ca(&self) -> &str {
        self.ca.as_deref().unwrap()
    }

    /// Kills it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills it if it runs and starts it on the same port: with its data if it is durable, empty
    /// otherwise.
    pub fn restart(&mut self) {
        self.kill();
        let give_up = Instant::now() + Duration::from_secs(5);
        while let Err(error) = self.launch() {
            assert!(Instant::now() < give_up, "redis-server: {error}");
        }
    }

    /// Stops it from answering: connections stay open, and are even accepted.
    pub fn pause(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn launch(&mut self) -> Result<(), String> {
        let dir = self.dir.path();
        let config = dir.join("redis.conf");
        std::fs::write(&config, self.config()).unwrap();
        let child = Command::new("redis-server")
            .arg(&config)
            .envs(self.options.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("redis-server cannot be started ({e}): run scripts/test"));
        let child = self.child.insert(child);
        let give_up = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
                self.child = None;
                return Err(format!("{status}: {log}"));
            }
            // Its own socket, since a stranger may have taken the port.
            if is_answering(&dir.join("socket")) {
                return Ok(());
            }
            assert!(Instant::now() < give_up, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn config(&self) -> String {
        let Self { port, options, .. } = self;
        let dir = self.dir.path().display();
        let mut lines = vec![
            // The second is a host that its certificate does not name.
            "bind 127.0.0.1 -127.0.0.2".to_owned(),
            format!("dir {dir}"),
            format!("logfile {dir}/log"),
            format!("unixsocket {dir}/socket"),
            "save \"\"".to_owned(),
            format!(
                "appendonly {}",
                if options.is_durable { "yes" } else { "no" }
            ),
            "appendfsync always".to_owned(),
            "enable-debug-command yes".to_owned(),
            // Replicas get their data at once, rather than when five seconds have passed.
            "repl-diskless-sync-delay 0".to_owned(),
        ];
        if options.is_tls {
            lines.push("port 0".to_owned());
            lines.push(format!("tls-port {port}"));
            lines.push(format!("tls-cert-file {dir}/server.crt"));
            lines.push(format!("tls-key-file {dir}/server.key"));
            lines.push(format!("tls-ca-cert-file {dir}/ca.crt"));
            lines.push("tls-auth-clients no".to_owned());
        } else {
            lines.push(format!("port {port}"));
        }
        if let Some(password) = &options.password {
            lines.push(format!("requirepass {password}"));
        }
        lines.extend(options.users.iter().map(|user| format!("user {user}")));
        lines.extend(options.settings.iter().cloned());
        lines.join("\n")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn is_answering(socket: &Path) -> bool {
    let Ok(mut stream) = std::os::unix::net::UnixStream::connect(socket) else {
        return false;
    };
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let mut reply = [0; 7];
    // `-NOAUTH` is an answer too; `-LOADING` is not yet one.
    stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut reply).is_ok()
        && (&reply == b"+PONG\r\n" || &reply == b"-NOAUTH")
}

/// Sends one command to a socket and reads its answer.
fn ask(socket: &Path, command: &str) -> std::io::Result<String> {
    let stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    exchange(stream, command)
}

/// Sends one command and reads its answer, up to that of the `PING` behind it.
pub fn exchange(mut stream: impl Read + Write, command: &str) -> std::io::Result<String> {
    stream.write_all(format!("{command}\r\nPING\r\n").as_bytes())?;
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.ends_with("+PONG\r\n") {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    Ok(text)
}

/// Writes a CA and a certificate of it for this host; returns the CA.
fn write_certificates(dir: &Path) -> String {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(dir.join("ca.crt"), &ca_pem).unwrap();
    std::fs::write(dir.join("server.crt"), certificate.pem()).unwrap();
    std::fs::write(dir.join("server.key"), key.serialize_pem()).unwrap();
    ca_pem
}
