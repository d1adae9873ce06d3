//! The commands as their users type them: processes that ask and steer a real fleet of three.

mod acting;
mod api;
mod help;
mod here;
mod reading;
mod refusals;
mod rig;
mod runs;
mod terminal;
mod yaml;
