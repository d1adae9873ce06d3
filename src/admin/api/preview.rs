//! What a schedule means, before anybody has it.

use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Reply};
use crate::board::{Fire, Lint};
use crate::error::Error;
use crate::schedule::{DstPolicy, Schedule};
use crate::text::contained_line;

/// The schedule that is asked about.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["cron"]))]
pub(super) struct PreviewBody {
    /// The spec. Required.
    #[schemars(required, length(min = 1, max = 1024), example = "0 30 12 * * MON-FRI")]
    cron: Option<String>,
    /// The zone that it is read in, if it names none. Default: that of the scheduler.
    timezone: Option<String>,
    /// How many fire times are told, 100 at the most. Default: 5.
    count: Option<usize>,
}

/// What a schedule means.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Preview {
    /// The spec.
    cron: String,
    /// The zone that it is read in.
    timezone: String,
    /// The same in words.
    text: String,
    /// The next fire times.
    fires: Vec<Fire>,
    /// What somebody should know who uses it.
    lint: Vec<Lint>,
}

/// A zone by its name.
pub(super) fn zone(name: &str) -> Result<Tz, Problem> {
    name.parse().map_err(|_| {
        let shown = contained_line(name, 40);
        let text = format!("{shown:?} is no time zone: give it a name such as Europe/Berlin");
        Problem::new("invalid-schedule", &text).at("/timezone", &text, None)
    })
}

pub(super) async fn preview(call: Call) -> Answer {
    let body: PreviewBody = call.body()?;
    let Some(cron) = body.cron else {
        let text = "say which schedule: `cron` is missing";
        return Err(Problem::new("malformed-request", text).at("/cron", text, None));
    };
    let zone = match &body.timezone {
        Some(name) => zone(name)?,
        None => call.state.board.parts().zone,
    };
    if !call.state.may_preview() {
        let text = "too many schedules were asked about within this second";
        return Err(Problem::new("too-many-triggers", text).again_after(1));
    }
    Schedule::parse_in(&cron, zone).map_err(|e| Problem::from(Error::from(e)))?;
    let count = body.count.unwrap_or(5).clamp(1, 100);
    let (state, now) = (call.state.clone(), call.now());
    // To find that there is no such date takes a while: not on a thread that starts tasks.
    let read = tokio::task::spawn_blocking(move || {
        let plan = state
            .board
            .plans()
            .plan(&cron, zone, DstPolicy::default(), now)?;
        let zone = plan.schedule.timezone();
        let times = match plan.depends_on_runs() {
            true => Vec::new(),
            false => plan.upcoming(None, now, count),
        };
        Some(Preview {
            timezone: zone.name().to_owned(),
            text: plan.text.clone(),
            fires: times
                .into_iter()
                .map(|at| Fire::at(at, zone, None))
                .collect(),
            lint: plan.lint.clone(),
            cron,
        })
    });
    match read.await.ok().flatten() {
        Some(preview) => Reply::ok(&preview),
        None => Err(Problem::new(
            "internal",
            "the schedule was not read: see the log",
        )),
    }
}
