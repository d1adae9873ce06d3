//! The page: five screens and the form of a stored task, rendered here, complete without a script.
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
#[cfg(feature = "dynamic")]
mod stored;
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
    let routes = Router::new()
        .route("/", get(show::tasks))
        .route("/tasks/{task}", get(show::task))
        .route("/runs/{id}", get(show::run))
        .route("/activity", get(show::activity))
        .route("/cluster", get(show::cluster));
    #[cfg(feature = "dynamic")]
    let routes = routes
        .route("/new", get(stored::new))
        .route("/tasks/{task}/edit", get(stored::edit));
    routes
        .merge(assets::routes())
        .layer(visit::Rendered::layer())
}
