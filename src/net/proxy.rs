//! Through whom requests go, as the environment says it. This machine itself is never reached
//! through a proxy: a model served here would be asked for elsewhere.

use std::fmt;

use reqwest::{NoProxy, Proxy};

use super::NetError;

/// Names and addresses of this machine.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Through whom requests go.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For plain addresses.
    pub http: Option<String>,
    /// For encrypted ones.
    pub https: Option<String>,
    /// Hosts that are reached directly: names with all names below them, addresses, networks such
    /// as `10.0.0.0/8`, or `*` for all, with commas between them.
    pub except: Option<String>,
}

impl Proxies {
    /// The client's own form of it.
    pub(super) fn build(&self) -> Result<Vec<Proxy>, NetError> {
        let except = self.except.as_deref().map_or_else(String::new, |list| format!(",{list}"));
        let except = NoProxy::from_string(&format!("{LOOPBACK}{except}"));
        type Make = fn(&str) -> reqwest::Result<Proxy>;
        let ways: [(&Option<String>, Make); 2] =
            [(&self.http, |url| Proxy::http(url)), (&self.https, |url| Proxy::https(url))];
        let mut proxies = Vec::new();
        for (url, make) in ways {
            let Some(url) = url else { continue };
            let source = |source| NetError::Proxy { url: without_password(url), source };
            proxies.push(make(url).map_err(source)?.no_proxy(except.clone()));
        }
        Ok(proxies)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |url: &Option<String>| url.as_deref().map(without_password);
        f.debug_struct("Proxies")
            .field("http", &shown(&self.http))
            .field("https", &shown(&self.https))
            .field("except", &self.except)
            .finish()
    }
}

fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => url.to_owned(),
    }
}
