//! Kinds of work that come with the crate, for tasks defined at run time.

#[cfg(feature = "http")]
mod http;
#[cfg(all(feature = "shell", unix))]
pub(crate) mod secret_file;
#[cfg(all(feature = "shell", unix))]
mod shell;

#[cfg(feature = "http")]
pub use http::{Http, HttpParameters};
#[cfg(all(feature = "shell", unix))]
pub use shell::{Shell, ShellCommand, ShellParameters};
