//! What the metrics are called, and what they mean.

/// The label that every metric of a task has.
pub(super) const TASK: &str = "task_name";

/// One row of the table.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
    /// Upper bounds unless others are set, in seconds; empty for what is no histogram.
    pub(super) buckets: &'static [f64],
}

macro_rules! table {
    ($($row:ident: $name:literal, [$($label:expr),*], $help:literal $(, $buckets:expr)?;)*) => {
        $(pub(super) const $row: Metric = Metric {
            name: $name,
            labels: &[$($label),*],
            help: $help,
            buckets: table!(@buckets $($buckets)?),
        };)*
        /// All rows.
        #[cfg(test)]
        pub(super) const TABLE: &[&Metric] = &[$(&$row),*];
    };
    (@buckets) => { &[] };
    (@buckets $buckets:expr) => { &$buckets };
}

// Most of it is local: it says what this instance did, since it started. Sum it over instances. What
// is shared says the same on all instances that have one history: take the largest value.
table! {
    RUNS: "task_runs_total", [TASK, "outcome"],
        "Local: runs that ended on this instance, by outcome";
    ERRORS: "task_errors_total", [TASK],
        "Local: runs that ended on this instance with an outcome that is neither success nor cancelled";
    FIRINGS: "task_firings_total", [TASK, "decision"],
        "Local: fire times that this instance decided, by decision";
    RETRIES: "task_retries_total", [TASK],
        "Local: attempts on this instance that were not the first at their fire time: retries and reruns";
    LEASE_LOST: "task_lease_lost_total", [TASK],
        "Local: runs on this instance whose lease was lost while they went on";
    SPEC_CONFLICTS: "task_spec_conflicts_total", [TASK],
        "Local: firings of this instance that found the task to have another spec on another instance";
    DURATION: "task_duration_seconds", [TASK],
        "Local: wall time of runs on this instance, whatever their outcome",
        [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];
    START_DELAY: "task_start_delay_seconds", [TASK],
        "Local: time from the fire time to the start of a run on this instance",
        [0.001, 0.0025, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0];
    RUNNING: "task_running", [TASK],
        "Local: runs that go on on this instance";
    LAST_START: "task_last_start_timestamp_seconds", [TASK],
        "Shared with a history, else local: start of the last run, 0 if none";
    LAST_SUCCESS: "task_last_success_timestamp_seconds", [TASK],
        "Shared with a history, else local: end of the last successful run, 0 if none";
    LAST_FAILURE: "task_last_failure_timestamp_seconds", [TASK],
        "Shared with a history, else local: end of the last run that counts in task_errors_total, 0 if none";
    LAST_DURATION: "task_last_run_duration_seconds", [TASK],
        "Shared with a history, else local: wall time of the run that ended last, 0 if none";
    NEXT_FIRE: "task_next_fire_timestamp_seconds", [TASK],
        "Shared, by the schedule: next fire time, +Inf if there is none";
    CONSECUTIVE_FAILURES: "task_consecutive_failures", [TASK],
        "Shared: runs in the fleet that count in task_errors_total since the last success";
    RUNNING_SINCE: "task_running_since_timestamp_seconds", [TASK],
        "Shared: start of the oldest run that goes on in the fleet, 0 if none";
    PAUSED: "task_paused", [TASK],
        "Shared: 1 if somebody has paused the task, or all tasks, or if it has failed too often";
    PAUSED_SINCE: "task_paused_since_timestamp_seconds", [TASK],
        "Shared: start of that pause, 0 if none";
    SUCCESS_DEADLINE: "task_success_deadline_timestamp_seconds", [TASK],
        "Shared: when the task has to have succeeded again, +Inf if it need not, or is paused";
    SCHEDULE_INTERVAL: "task_schedule_interval_seconds", [TASK],
        "Shared: time from the fire time before the next one to the next one";
    TIMEOUT: "task_timeout_seconds", [TASK],
        "Shared: timeout of the task's runs";
    SCHEDULE_DRIFT: "task_schedule_drift", [TASK],
        "Shared: 1 if the task's schedule or policy is not the same on all instances";
    INFO: "task_info", [TASK, "schedule", "timezone", "overlap"],
        "Local: what the task was registered with; always 1";
    LINTS: "task_lints_total", ["lint"],
        "Local: what this instance has warned of in schedules, by what it was";
    FOLDED: "task_metrics_folded_total", [],
        "Local: registrations of tasks that have no series of their own, as there are too many";
    LOCK_OPERATIONS: "task_lock_operations_total", ["operation", "result"],
        "Local: claims, renewals and releases that this instance asked the lock for, by what it answered";
    LOCK_DURATION: "task_lock_operation_duration_seconds", ["operation"],
        "Local: time that the lock took to answer one request of this instance, be it about one task or many",
        [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
    LOCK_FINDINGS: "task_lock_store_findings", ["severity"],
        "Local: what this instance found wrong with the lock's store when it started";
    STORE_ERRORS: "task_store_errors_total", ["operation"],
        "Local: requests of this instance to the stores of its fleet, its stored tasks and its history that failed";
    ADMIN_ACTIONS: "task_admin_actions_total", ["action", "result"],
        "Local: what people asked for by this instance, and what became of it there";
    ADMIN_DENIED: "task_admin_denied_total", [],
        "Local: requests to the page of this instance and its API that were not allowed";
    SCHEDULER_RUNNING: "task_scheduler_running", [],
        "Local: 1 if the scheduler fires, 0 if it has not started, drains or has stopped";
    LAST_WAKE: "task_scheduler_last_wake_timestamp_seconds", [],
        "Local: when the timer last looked at what is due, 0 if not yet";
    CLOCK_SKEW: "task_clock_skew_seconds", [],
        "Local: how far the lock store's clock was ahead of this instance's at the last claim, 0 if unknown";
    STORE_CHANGES: "task_lock_store_changes_total", [],
        "Local: how often this instance found that the lock's store had been replaced or restarted";
    CLOCK_STEPS: "task_clock_steps_total", [],
        "Local: how often this instance's wall clock has stepped by half a second or more";
    TIMER_STALLS: "task_timer_stalls_total", [],
        "Local: how often the timer was held up for a second or more: suspended, stopped or blocked";
    HISTORY_DROPPED: "task_history_dropped_total", ["kind"],
        "Local: records of the history that this instance could not write and dropped, by kind";
    INSTANCES: "task_instances", [],
        "Shared: instances of the fleet that were heard of lately, this one among them";
    FLEET_EVENTS: "task_fleet_events_total", ["event"],
        "Local: what this instance has noticed of its fleet, by what it was";
    OBSERVER_PANICS: "task_observer_panics_total", [],
        "Local: how often an observer of this instance's scheduler has panicked";
    BUILD_INFO: "tasklock_build_info", ["version"],
        "Local: the version of tasklock; always 1";
}
