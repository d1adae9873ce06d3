//! The page: five screens, rendered here, complete without a script.
//!
//! What they show is the board's; what is done by their forms goes to the API's paths, which send
//! browsers back. `page/app.js` keeps an open screen fresh and says when it is not.

mod activity;
mod assets;
mod cluster;
mod forms;
mod frame;
mod mark;
mod plot;
mod run;
mod show;
mod task;
mod tasks;
mod visit;
mod words;

use axum::Router;
use axum::routing::get;

use crate::admin::state::AdminState;

pub(super) use show::problem;

/// The routes of the screens.
pub(super) fn routes() -> Router<AdminState> {
    Router::new()
        .route("/", get(show::tasks))
        .route("/tasks/{task}", get(show::task))
        .route("/runs/{id}", get(show::run))
        .route("/activity", get(show::activity))
        .route("/cluster", get(show::cluster))
        .merge(assets::routes())
        .layer(visit::Rendered::layer())
}
