//! The one table of all settings. What is read, checked, printed and documented follows from its rows; a setting that
//! has no row does not exist. Its environment names are a contract with tests and users.

use super::Profile;
use super::value::Kind::{
    self, Choice, Cidrs, CookieName, Count, Database, Flag, HostPort, HttpUrl, HttpUrls, Ids, Name, Names, Origins,
    Path, Rate, RedirectTarget, Secret, Span, UrlPath, Words,
};

pub(super) const ENV_PREFIX: &str = "SYMBOLON_";
/// Names the TOML file, so it is the one setting that cannot stand in it.
pub(super) const CONFIG_FILE: &str = "SYMBOLON_CONFIG_FILE";

const DAY: u64 = 86_400;
/// Ten years: longer is a slip of the pen, and adding it to a clock must not overflow.
const LONGEST: u64 = 3650 * DAY;

// Settings and clients have these in common.
pub(super) const ACCESS_TOKEN_TTL: Kind = Span { least: 1, most: 3600 };
pub(super) const SESSION_TTL: Kind = Span { least: 1, most: LONGEST };
pub(super) const LEEWAY: Kind = Span { least: 0, most: 60 };
pub(super) const RECOVERY_LIMIT: Kind = Count { most: 3 };
pub(super) const BURST: Kind = Span { least: 1, most: 600 };
const RATE: Kind = Rate { most: 1_000_000 };
/// Of signing keys, which may well live longer than sessions.
const KEY_SPAN: Kind = Span { least: 1, most: 10 * LONGEST };

/// One setting.
pub(super) struct Setting {
    /// Where it stands in the TOML.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    dev: Fallback,
    serve: Fallback,
    /// One line for the README.
    pub(super) means: &'static str,
}

/// What holds if nobody sets it.
#[derive(Clone, Copy)]
pub(super) enum Fallback {
    /// This value.
    Value(&'static str),
    /// No value; the words say what happens then.
    Unset(&'static str),
    /// It follows other settings, which makes it this as long as they have their defaults.
    Follows(&'static str),
    /// A fault.
    Required,
}
use Fallback::{Follows, Required, Unset, Value};

impl Setting {
    /// `grpc.listen` is `SYMBOLON_GRPC_LISTEN`.
    pub(super) fn env(&self) -> String {
        env_name(self.path)
    }

    pub(super) fn fallback(&self, profile: Profile) -> Fallback {
        match profile {
            Profile::Dev => self.dev,
            Profile::Serve => self.serve,
            // Alone it mints nothing, so what `serve` requires is no business of its.
            Profile::Edge => match self.serve {
                Required => NONE,
                other @ (Value(_) | Unset(_) | Follows(_)) => other,
            },
        }
    }
}

/// The environment's name for a TOML path.
pub(super) fn env_name(path: &str) -> String {
    format!("{ENV_PREFIX}{}", path.replace('.', "_").to_uppercase())
}

/// Where the other form of a secret stands: the path of a file that holds it.
pub(super) fn file_form(path: &str) -> String {
    format!("{path}_file")
}

const fn differs(path: &'static str, kind: Kind, dev: Fallback, serve: Fallback, means: &'static str) -> Setting {
    Setting { path, kind, dev, serve, means }
}

const fn same(path: &'static str, kind: Kind, fallback: Fallback, means: &'static str) -> Setting {
    differs(path, kind, fallback, fallback, means)
}

const NONE: Fallback = Unset("none");
const OFF: Fallback = Unset("off");
const LOCAL_URL: Fallback = Follows("http://localhost:8080");

#[rustfmt::skip] // One row, one or two lines: what belongs together stays together.
pub(super) const SETTINGS: &[Setting] = &[
    same("data_dir", Path, Value("./symbolon-data"), "embedded database, generated keys"),
    same("database_url", Database, Unset("SQLite in the data directory"), "`sqlite:…` or `postgres://…`"),
    differs("issuer", HttpUrl, LOCAL_URL, Required, "the `iss` URL; in `dev` it follows the edge's public URL"),
    differs("master_keys", Secret, Unset("generated in the data directory"), NONE,
        "comma-separated `id:base64`, ids 1–255; the first encrypts, all decrypt"),
    same("retired_master_key_ids", Ids, Value(""), "master keys that are over: everyone under them signs in again"),
    differs("callers_file", Path, Unset("one caller `local`"), NONE, "TOML of callers"),
    same("clients_file", Path, Unset("one client `web`, audience `api`"), "TOML of clients"),
    same("access_token_ttl", ACCESS_TOKEN_TTL, Value("15m"), "lifetime of access tokens; callers have a ceiling"),
    same("log", Words, Value("info"), "filter of the log"),
    same("log_format", Choice(&["text", "json"]), Value("text"), "how the log is written: `text` or `json`"),
    same("audit_file", Path, Value("stderr"), "where audit events go: `stderr`, `stdout`, or a file to append to"),
    same("traces.endpoint", HttpUrl, OFF, "OTLP/gRPC collector of traces, like `http://localhost:4317`"),
    same("traces.one_in", RATE, Value("100"), "one call in so many is traced, where its caller has not decided"),
    differs("grpc.listen", HostPort, Value("localhost:50051"), Value("127.0.0.1:50051"), "host:port of the gRPC API"),
    same("grpc.tls_cert_file", Path, OFF, "PEM certificate chain of the gRPC API"),
    same("grpc.tls_key_file", Path, OFF, "private key of that certificate"),
    same("grpc.tls_client_ca_file", Path, OFF, "CA of callers that show a certificate"),
    same("grpc.tls_min_version", Choice(&["1.3", "1.2"]), Value("1.3"), "the oldest TLS that is spoken: `1.3` or `1.2`"),
    same("grpc.reflection", Flag, Unset("on on loopback, else off"), "gRPC reflection, for tools like grpcurl"),
    differs("ops.listen", HostPort, Value("localhost:9090"), Value("127.0.0.1:9090"),
        "host:port of `/livez`, `/readyz`, `/metrics`"),
    same("session.ttl", SESSION_TTL, Value("30d"), "how long after sign-in a session ends"),
    same("session.idle_ttl", SESSION_TTL, Value("30d"), "how long after its last rotation a session ends"),
    same("session.leeway", LEEWAY, Value("30s"), "how long a spent token is answered with the same bytes"),
    same("session.recovery_limit", RECOVERY_LIMIT, Value("2"), "how many recoveries in a row are no theft yet"),
    same("session.burst", BURST, Value("120s"), "how long uncoordinated tabs may be two generations behind"),
    differs("limits.rotations_per_second", RATE, Value("1000"), Value("20"),
        "rotations of one session; ten times as many at once"),
    differs("limits.issues_per_second", RATE, Value("10000"), Value("200"),
        "sign-ins by one caller; ten times as many at once"),
    same("keys.rotate_every", KEY_SPAN, Value("30d"), "how long a key signs"),
    same("keys.publish_ahead", KEY_SPAN, Value("24h"), "how long a key is published before it signs"),
    differs("edge.listen", HostPort, Value("localhost:8080"), OFF, "host:port of the HTTP edge"),
    differs("edge.public_url", HttpUrl, LOCAL_URL, NONE,
        "what browsers call the edge; its origin is always allowed; in `dev` it follows the edge's port"),
    differs("edge.allowed_origins", Origins,
        Unset("localhost, 127.0.0.1 and [::1] on the edge's port, http://localhost:5173, http://localhost:3000"), NONE,
        "exact origins elsewhere on the same site"),
    same("edge.trusted_proxies", Cidrs, Value(""), "CIDRs whose `X-Forwarded-For` and `-Proto` count"),
    same("edge.client_id", Name, Value("web"), "the client a login is for"),
    same("edge.audience", Names, Value("api"), "the audience a login asks for"),
    same("edge.scope", Names, Value(""), "the scope a login asks for"),
    differs("edge.verifier_url", HttpUrl, Unset("built-in demo users"), NONE, "the credential verifier"),
    same("edge.verifier_token", Secret, NONE, "bearer token for the verifier"),
    same("edge.verifier_ca_file", Path, NONE, "CA of the verifier's certificate"),
    same("edge.issuer_url", HttpUrls, Unset("in process"),
        "gRPC upstream of `symbolon edge`, or several, separated by commas"),
    same("edge.issuer_token", Secret, NONE, "bearer token for the upstream"),
    same("edge.issuer_cert_file", Path, NONE, "certificate shown to the upstream"),
    same("edge.issuer_key_file", Path, NONE, "private key of that certificate"),
    same("edge.issuer_ca_file", Path, NONE, "CA of the upstream's certificate"),
    same("edge.mode", Choice(&["token", "bff"]), Value("token"), "`token`, or `bff`: the page never sees a token"),
    same("edge.when_stale", Choice(&["open", "closed"]), Value("open"),
        "access tokens at the edge while nothing is heard of revocations for a minute: `open` accepts them, `closed` is 503"),
    same("edge.base_path", UrlPath, Value("/auth"), "where the edge's routes begin"),
    same("edge.cookie_name", CookieName, Unset("`__Host-Http-symbolon`; `symbolon-<port>` on http"),
        "name of the refresh cookie"),
    same("edge.cookie_path", UrlPath, Value("/"), "path of the refresh cookie"),
    same("edge.hsts", Flag, Unset("on with https, off on http"), "Strict-Transport-Security"),
    same("gateway.listen", HostPort, OFF, "host:port of the exchange and Envoy's Check"),
    same("gateway.login_url", RedirectTarget, NONE, "where signed-out page loads go"),
];
