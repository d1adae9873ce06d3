//! The integration tests: one binary, a module per hazard.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub
)]

mod admin;
mod admin_access;
mod admin_api;
mod admin_document;
mod admin_page;
mod after;
mod attempts;
mod claims;
mod cli;
mod control;
mod daemon;
mod deadlines;
mod engines;
mod faults;
mod file_lock;
mod fleet;
mod fleet_metrics;
mod fleet_processes;
mod fleet_store;
mod fleet_wakes;
mod guarded_jobs;
mod history;
mod history_store;
mod http;
mod instances;
mod lateness;
mod layers;
mod lead;
mod leases;
mod limits;
mod lock_conformance;
mod log_lines;
mod metrics;
mod ops;
mod outages;
mod policies;
mod prometheus;
mod redis_cluster;
mod redis_diagnosis;
mod redis_failover;
mod redis_faults;
mod redis_history;
mod redis_lanes;
mod redis_lock;
mod redis_sentinel;
mod redis_stored_tasks;
mod registration;
mod retries;
mod schedule;
mod schedule_croner;
mod scheduled;
mod service;
mod shell;
mod shutdown;
mod spans;
mod spread;
mod standalone;
mod startup;
mod stored_tasks;
mod support;
mod timer;
mod turns;
mod verbs;
