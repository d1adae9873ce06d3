//! The screens.

use axum::Router;

use crate::admin::state::AdminState;

/// The routes of the screens.
pub(super) fn routes() -> Router<AdminState> {
    Router::new()
}
