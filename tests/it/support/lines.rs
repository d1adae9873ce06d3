//! The log, as somebody reads it.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

/// Listeners who hear nothing. While there is only one listener in the process, a place that logs for
/// the first time on a thread without one is taken to be of no interest to anybody.
static OTHERS: LazyLock<[Dispatch; 2]> = LazyLock::new(|| {
    [(); 2].map(|()| {
        let deaf =
            tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::OFF);
        Dispatch::new(deaf.finish())
    })
});

/// Log lines of this thread, remembered.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Lines {
    /// The one line that has all of `parts`.
    pub fn one(&self, parts: &[&str]) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let fits = |line: &&str| parts.iter().all(|part| line.contains(part));
        let found: Vec<&str> = text.lines().filter(fits).collect();
        assert_eq!(found.len(), 1, "{parts:?} in\n{text}");
        found[0].to_owned()
    }

    /// Everything that was written.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// To be called by whoever listens on one thread only, with a listener of his own.
    pub fn among_others() {
        LazyLock::force(&OTHERS);
    }

    /// Remembers what this thread logs while the guard lives.
    pub fn listen(&self) -> tracing::subscriber::DefaultGuard {
        LazyLock::force(&OTHERS);
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}
