//! The commands as their users type them: processes that ask and steer a real fleet of three.

mod acting;
mod help;
mod reading;
mod refusals;
mod rig;
mod runs;
mod terminal;
