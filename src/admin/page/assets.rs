//! The page's style and script: in the program itself, under names that change with what is in them.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;

/// A file, and the hash of what is in it.
#[derive(Debug)]
pub(super) struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
    hash: u64,
}

pub(super) const CSS: Asset = Asset {
    name: "app.css",
    kind: "text/css; charset=utf-8",
    text: include_str!("app.css"),
    hash: hash(include_bytes!("app.css")),
};

pub(super) const JS: Asset = Asset {
    name: "app.js",
    kind: "text/javascript; charset=utf-8",
    text: include_str!("app.js"),
    hash: hash(include_bytes!("app.js")),
};

impl Asset {
    /// Where it is, below the page's base.
    pub(super) fn path(&self) -> String {
        format!("/assets/{:016x}/{}", self.hash, self.name)
    }
}

/// FNV-1a: tells versions of a file apart, and protects from nothing.
pub(super) const fn hash(mut bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    while let [first, rest @ ..] = bytes {
        hash = (hash ^ *first as u64).wrapping_mul(0x100_0000_01b3);
        bytes = rest;
    }
    hash
}

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    [CSS, JS].into_iter().fold(Router::new(), |router, asset| {
        let path = asset.path();
        let serve = move || async move {
            let headers = [
                (CONTENT_TYPE, asset.kind),
                // What changes has another name.
                (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, asset.text).into_response()
        };
        router.route(&path, get(serve))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_text_has_another_name() {
        assert_ne!(hash(b"a"), hash(b"b"));
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_ne!(CSS.path(), JS.path());
        assert!(CSS.path().ends_with("/app.css"));
    }
}
