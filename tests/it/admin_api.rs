//! What the HTTP API does, and tells.

mod audit;
mod client;
mod forms;
mod keys;
mod locks;
mod preview;
mod problems;
mod queries;
mod readings;
mod steering;
mod stored;
mod streams;
mod tags;
mod tasks;
mod why;
