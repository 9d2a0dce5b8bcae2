//! The page: files that stand in the binary, and no others. They hold no data and need no token; what
//! they show they ask for with the token of whoever looks.

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

use super::Ctx;

/// Address, kind and text of each.
const FILES: [(&str, &str, &str); 1] =
    [("/", "text/html; charset=utf-8", include_str!("page/index.html"))];

/// The router with the page.
pub(super) fn mounted(router: Router<Ctx>) -> Router<Ctx> {
    FILES.into_iter().fold(router, |router, (path, kind, text)| {
        router.route(path, get(move || async move { file(kind, text) }))
    })
}

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}
