//! `tasklock start --config`: a cron of its own, as its operators meet it.

mod apply;
mod daemon;
mod file;
mod fleet;
mod here;
mod host;
mod import;
mod killed;
mod log;
mod only;
mod ops;
mod reload;
mod secrets;
mod supervisor;
