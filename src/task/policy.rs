//! How a task behaves when things are not as planned.

mod checked;
mod misfire;
mod overlap;
mod plain;
mod recovery;
mod retry;
mod scope;
mod settings;
mod store_down;

pub use misfire::Misfire;
pub use overlap::Overlap;
#[cfg(feature = "dynamic")]
pub(crate) use plain::{seconds, zone};
pub use recovery::Recovery;
pub use retry::Retry;
pub use scope::{Scope, Shard};
pub use settings::Policy;
pub use store_down::OnStoreDown;
