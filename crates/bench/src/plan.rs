//! What is to be run, as data: the workload, the door, the pace, how long, against what, and whose CPU is read. It owns
//! what goes together with what, and knows no command line and no socket.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::seed::Seeded;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What a report calls it.
    pub name: String,
    pub workload: Workload,
    pub over: Way,
    pub pace: Pace,
    /// How long it is loaded before anything counts.
    #[serde(with = "seconds")]
    pub warm_up: Duration,
    /// How long it is measured.
    #[serde(with = "seconds")]
    pub measured: Duration,
    /// How many sessions there are.
    pub sessions: usize,
    /// Of a seeded database, if it is not they that sign in.
    #[serde(default)]
    pub seeded: Option<Seeded>,
    /// How many gRPC connections there are. Over HTTP/1 every call in flight has its own.
    pub connections: usize,
    pub target: Target,
    pub processes: Processes,
}

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// A sign-in: a session for a subject nobody heard of before.
    Issue,
    /// A session's newest refresh token is redeemed.
    Refresh,
    /// One refresh token is presented by so many at once, and then everybody presents what it got.
    Race { contenders: usize },
    /// The server is asked about an access token.
    Introspect,
    /// An access token is verified in this process.
    Verify,
    /// A session is revoked, and so many watchers hear of it.
    Watch { watchers: usize },
}

/// Which way the calls go in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Symbolon's gRPC API
    Grpc,
    /// Symbolon's HTTP edge, with a cookie as a browser would; sessions are issued over gRPC
    Edge,
    /// A server written by hand: POST /login {"subject"} and POST /refresh {"`refresh_token`"}, both answered with
    /// {"`access_token`", "`refresh_token`"}
    Json,
}

/// When the next call is made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// When an earlier one was answered: always so many at once.
    Closed { in_flight: usize },
    /// When its time has come, answered or not, with at most so many at once.
    Open { per_second: f64, in_flight: usize },
}

/// Where the servers are, and who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The gRPC service.
    pub grpc: String,
    /// The edge, or the server written by hand.
    pub http: String,
    /// The edge's cookie, if it is not named as the edge does without being told.
    pub cookie: Option<String>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
}

/// Whose CPU time is read, with all their children.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processes {
    pub server: Vec<u32>,
    pub database: Vec<u32>,
}

impl Plan {
    /// Why this cannot be run, if it cannot.
    ///
    /// # Errors
    /// A sentence for whoever wrote the command line.
    pub fn check(&self) -> Result<(), String> {
        let fits = match self.over {
            Way::Grpc => true,
            Way::Edge => matches!(self.workload, Workload::Refresh | Workload::Race { .. }),
            Way::Json => matches!(self.workload, Workload::Issue | Workload::Refresh | Workload::Race { .. }),
        };
        let (workload, over) = (self.workload.name(), self.over.name());
        if !fits {
            let others = match self.over {
                Way::Edge => "refresh and race go",
                Way::Json => "issue, refresh and race go",
                Way::Grpc => "everything goes",
            };
            return Err(format!("{workload} does not go over {over}: {others}, and {workload} goes over grpc"));
        }
        let in_flight = self.pace.in_flight();
        if in_flight > self.sessions && self.workload.keeps_sessions() {
            let sessions = self.sessions;
            return Err(format!(
                "--in-flight {in_flight} needs as many --sessions, and there are {sessions}: one session makes one call at a time"
            ));
        }
        if let Some(seeded) = &self.seeded {
            if (self.workload, self.over) != (Workload::Refresh, Way::Grpc) {
                return Err(format!("--seeded is for refresh over grpc, and this is {workload} over {over}"));
            }
            seeded.check(self.sessions)?;
        }
        if self.over != Way::Grpc && !self.target.http.starts_with("http://") {
            return Err(format!("--http {}: expected a URL like http://localhost:8080", self.target.http));
        }
        Ok(())
    }
}

impl Workload {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Refresh => "refresh",
            Self::Race { .. } => "race",
            Self::Introspect => "introspect",
            Self::Verify => "verify",
            Self::Watch { .. } => "watch",
        }
    }

    /// What one of its operations is, for a report.
    #[must_use]
    pub fn operation(self) -> &'static str {
        match self {
            Self::Issue => "sign-in",
            Self::Refresh => "refresh",
            Self::Race { .. } => "round of simultaneous refreshes",
            Self::Introspect => "introspection",
            Self::Verify => "verification",
            Self::Watch { .. } => "revocation told to a watcher",
        }
    }

    fn keeps_sessions(self) -> bool {
        !matches!(self, Self::Issue | Self::Watch { .. })
    }
}

impl Way {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Edge => "edge",
            Self::Json => "json",
        }
    }
}

impl Pace {
    #[must_use]
    pub fn in_flight(self) -> usize {
        match self {
            Self::Closed { in_flight } | Self::Open { in_flight, .. } => in_flight,
        }
    }
}

/// A span as a number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(span.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
