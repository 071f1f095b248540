//! Origins: the edge's own, those of the pages that may call it, and what to tell a page that may not.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What browsers call the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    url: String,
    /// Scheme, host and port, as browsers write an origin.
    origin: String,
    host: String,
    pub https: bool,
    pub port: u16,
}

/// The pages that may call the edge.
#[derive(Clone, Debug)]
pub struct Origins {
    own: PublicUrl,
    listed: Vec<String>,
}

impl PublicUrl {
    /// From a URL that begins with `http://` or `https://`; `None` for any other.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let url = url.trim_end_matches('/');
        let (https, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let usual = if https { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host.to_owned(), port.parse().ok()?),
            Some(_) | None => (authority, usual),
        };
        let scheme = scheme(https);
        let explicit = if port == usual { String::new() } else { format!(":{port}") };
        (!host.is_empty()).then(|| Self {
            url: url.to_owned(),
            origin: format!("{scheme}://{host}{explicit}"),
            host,
            https,
            port,
        })
    }

    /// Whether it is a name that every machine has for itself.
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        self.host == "localhost"
    }

    /// What browsers tell sites of one machine apart by: the scheme and the host, and no port.
    fn site(&self) -> String {
        format!("{}://{}", self.scheme(), self.host)
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        scheme(self.https)
    }

    /// Without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Origins {
    /// The edge's own origin and these.
    #[must_use]
    pub fn new(own: PublicUrl, listed: Vec<String>) -> Self {
        Self { own, listed }
    }

    /// Whether pages of this origin, as a browser wrote it, may call the edge.
    #[must_use]
    pub fn allow(&self, origin: &[u8]) -> bool {
        origin == self.own.origin.as_bytes() || self.listed.iter().any(|listed| listed.as_bytes() == origin)
    }

    #[must_use]
    pub fn own(&self) -> &PublicUrl {
        &self.own
    }

    /// What to tell a page of another site: a page on this machine is told under which name it works.
    #[must_use]
    pub fn hint(&self, origin: &[u8]) -> String {
        let theirs = std::str::from_utf8(origin).ok().and_then(PublicUrl::parse);
        let theirs = theirs.filter(|theirs| on_this_machine(&theirs.host) && on_this_machine(&self.own.host));
        if let Some((theirs, port)) = theirs.map(|theirs| (theirs.site(), theirs.port))
            && theirs != self.own.site()
        {
            let own = self.own.site();
            return format!(
                "to a browser {theirs} and {own} are two sites, and it keeps their cookies apart: open the page as \
                 {own}:{port}"
            );
        }
        format!(
            "pages of another site than {} cannot use this edge, since browsers send it no cookie from there: serve the page \
             and the edge from hosts of one site",
            self.own.origin
        )
    }
}

/// The names a machine has for itself.
fn on_this_machine(host: &str) -> bool {
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || v6.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()))
}

fn scheme(https: bool) -> &'static str {
    if https { "https" } else { "http" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, bool, u16) {
        let url = PublicUrl::parse(url).expect("a URL");
        (url.origin, url.https, url.port)
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        assert_eq!(parsed("https://Auth.Example.com/"), ("https://auth.example.com".to_owned(), true, 443));
        assert_eq!(parsed("https://auth.example.com:443"), ("https://auth.example.com".to_owned(), true, 443));
        assert_eq!(parsed("https://a.example:8443/sub"), ("https://a.example:8443".to_owned(), true, 8443));
        assert_eq!(parsed("http://localhost:8080"), ("http://localhost:8080".to_owned(), false, 8080));
        assert_eq!(parsed("http://[::1]:8080"), ("http://[::1]:8080".to_owned(), false, 8080));
        assert_eq!(parsed("http://[::1]"), ("http://[::1]".to_owned(), false, 80));
        for none in ["", "ftp://a", "https://", "localhost:8080", "http://a:99999"] {
            assert_eq!(PublicUrl::parse(none), None, "{none}");
        }
    }

    #[test]
    fn an_origin_is_listed_byte_for_byte() {
        let own = PublicUrl::parse("http://localhost:8080").expect("a URL");
        let origins = Origins::new(own, vec!["http://localhost:5173".to_owned()]);
        for good in ["http://localhost:8080", "http://localhost:5173"] {
            assert!(origins.allow(good.as_bytes()), "{good}");
        }
        for bad in [
            "null",
            "",
            "http://localhost",
            "http://localhost:51730",
            "https://localhost:5173",
            "http://LOCALHOST:5173",
            "http://localhost:5173/",
            "http://localhost:5173.evil.example",
        ] {
            assert!(!origins.allow(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_page_on_this_machine_is_told_its_other_name() {
        let own = PublicUrl::parse("http://localhost:8080").expect("a URL");
        let origins = Origins::new(own, Vec::new());
        for (theirs, better) in [
            ("http://127.0.0.1:5173", "open the page as http://localhost:5173"),
            ("http://[::1]:8080", "open the page as http://localhost:8080"),
            ("https://localhost:5173", "open the page as http://localhost:5173"),
        ] {
            assert!(origins.hint(theirs.as_bytes()).ends_with(better), "{}", origins.hint(theirs.as_bytes()));
        }
        for elsewhere in ["https://evil.example", "http://127.evil.example", "http://localhost:5173"] {
            let hint = origins.hint(elsewhere.as_bytes());
            assert!(hint.contains("another site than http://localhost:8080"), "{hint}");
        }
        assert!(origins.hint(b"\xff").contains("another site"));
    }
}
