//! Sessions that were never issued: a database is filled with them, and a load refreshes them, because everything about
//! the session of a number follows from the number. It owns what that is; `sql` writes it as SQL, `sample` says which of
//! them a run refreshes.

mod sample;
mod sql;

use std::path::PathBuf;

use clap::{Args, value_parser};
use serde::{Deserialize, Serialize};
use symbolon::clock::{Clock, SystemClock};
use symbolon::keys::master::MasterKeys;
use symbolon::session::SessionId;
use symbolon::time::Timestamp;
use symbolon::token::refresh::{RefreshToken, RefreshTokens};

use crate::Failure;
use sample::sample;
pub use sql::{Database, sql};

/// Twice as many have each a random part of its own, and half of them may be expired.
const MOST: i64 = (PRIME / 2) as i64;

/// 2^31 − 1, so that no product leaves the 63 bits that SQL computes with.
const PRIME: u32 = 0x7FFF_FFFF;

/// Two generators modulo [`PRIME`], for the two halves of the random part.
const GENERATORS: [u64; 2] = [48_271, 69_621];

/// How long sign-ins took place, in milliseconds. Neighbours in number are neighbours in time.
const MONTH: u64 = 30 * 86_400_000;

/// When the first of them signed in, as the ids say. It never changes: who refreshes has not to know when it was seeded.
const BORN: u64 = 1_790_000_000_000;

/// Sessions in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    /// How many there are.
    sessions: u32,
    /// The number of the first.
    first: u32,
    /// When it was born.
    born: u64,
}

impl Stretch {
    /// Those that live.
    fn living(sessions: u32) -> Self {
        Self { sessions, first: 0, born: BORN }
    }

    /// The id of the session of this number. The SQL computes the same.
    fn id(&self, number: u32) -> SessionId {
        let offset = u64::from(number - self.first) * MONTH / u64::from(self.sessions);
        let millis = i64::try_from(self.born + offset).expect("cannot fail: it is in this century");
        let [high, low] = GENERATORS.map(|generator| (u64::from(number) + 1) * generator % u64::from(PRIME));
        let random = 1 << 63 | high << 31 | low;
        SessionId::new(0, Timestamp::from_millis(millis), random.to_be_bytes())
    }
}

/// What a database is filled with.
#[derive(Args)]
pub(crate) struct Fill {
    /// Whose SQL
    #[arg(long, value_enum)]
    database: Database,
    /// How many sessions that live
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=MOST))]
    sessions: u32,
    /// How many besides that have expired and are to be swept
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value_parser!(u32).range(..=MOST))]
    expired: u32,
}

impl Fill {
    pub(crate) fn sql(&self) -> String {
        sql(self.database, self.sessions, self.expired, SystemClock.now())
    }
}

/// Which sessions of a seeded database a run refreshes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeded {
    /// How many were seeded.
    pub sessions: u32,
    /// Which sample.
    pub seed: u32,
    pub master_keys_file: PathBuf,
    pub issuer: String,
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// Refresh sessions with which `seed` has filled the database, so many, instead of signing anybody in
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=MOST), requires_all = ["master_keys_file", "issuer"])]
    #[arg(help_heading = "Seeded sessions")]
    seeded: Option<u32>,
    /// The service's master keys, of which the first writes refresh tokens
    #[arg(long, value_name = "FILE", requires = "seeded", help_heading = "Seeded sessions")]
    master_keys_file: Option<PathBuf>,
    /// What the service calls itself (`SYMBOLON_ISSUER`)
    #[arg(long, value_name = "URL", requires = "seeded", help_heading = "Seeded sessions")]
    issuer: Option<String>,
    /// Which sample of --sessions of them: of one size, no two have a session in common, and a session can only be refreshed
    /// by the first run that has it
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Seeded sessions")]
    seed: u32,
}

impl Arguments {
    pub(crate) fn seeded(&self) -> Option<Seeded> {
        let (sessions, master_keys_file, issuer) = (self.seeded?, self.master_keys_file.clone()?, self.issuer.clone()?);
        Some(Seeded { sessions, seed: self.seed, master_keys_file, issuer })
    }
}

impl Seeded {
    /// Why there is no such sample, if there is none.
    pub(crate) fn check(&self, size: usize) -> Result<(), String> {
        let samples = self.sessions as usize / size;
        if (self.seed as usize) < samples {
            return Ok(());
        }
        let Self { sessions, seed, .. } = self;
        Err(format!(
            "--seed {seed}: {sessions} seeded sessions make {samples} samples of {size} (--sessions), counted from 0"
        ))
    }

    /// The first refresh tokens of a sample of so many sessions.
    pub(crate) fn tokens(&self, size: usize) -> Result<Vec<String>, Failure> {
        let file = self.master_keys_file.display();
        let text = std::fs::read_to_string(&self.master_keys_file).map_err(|error| format!("{file}: {error}"))?;
        let keys = MasterKeys::parse(text.trim()).map_err(|malformed| format!("{file} {malformed}"))?;
        let (tokens, living) = (RefreshTokens::new(&keys, &self.issuer, &[]), Stretch::living(self.sessions));
        let token = |number| tokens.write(RefreshToken { session_id: living.id(number), generation: 1 });
        Ok(sample(self.sessions, self.seed, size).map(token).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    fn id(number: u32) -> SessionId {
        Stretch::living(1_000_000).id(number)
    }

    #[test]
    fn ids_are_those_of_a_month_of_sign_ins_in_order_and_no_two_are_the_same() {
        assert!((0..100_000).map(id).collect::<Vec<_>>().is_sorted_by(|one, next| one < next));
        let dense = Stretch::living(PRIME / 2);
        let together: std::collections::BTreeSet<_> = (0..100_000).map(|number| dense.id(number)).collect();
        assert_eq!(together.len(), 100_000, "hundreds are born in one millisecond");
    }

    #[test]
    fn the_id_of_a_number_never_changes() {
        assert_eq!(id(0).to_string(), "00001a0c-4506-8c00-8000-5e4780010ff5");
    }

    #[test]
    fn there_are_as_many_samples_as_have_a_session_of_their_own() {
        let seeded = |seed| Seeded { sessions: 1000, seed, master_keys_file: PathBuf::new(), issuer: String::new() };
        assert_eq!(seeded(3).check(250), Ok(()));
        assert!(seeded(4).check(250).unwrap_err().contains("make 4 samples"));
        assert!(seeded(0).check(1001).is_err());
    }

    #[test]
    fn only_refreshes_over_grpc_take_seeded_sessions_and_need_what_makes_their_tokens() {
        let seeded = ["--seeded", "9000", "--master-keys-file", "keys", "--issuer", "https://auth.example"];
        let plan = |words: &[&str]| cli::plan([&["symbolon-bench"], words].concat());
        let fault = |words: &[&str]| plan(words).unwrap_err().to_string();
        assert_eq!(plan(&[&["refresh"], &seeded[..]].concat()).unwrap().seeded.unwrap().sessions, 9000);
        assert!(fault(&[&["introspect"], &seeded[..]].concat()).contains("refresh over grpc"));
        assert!(fault(&[&["refresh", "--over", "edge"], &seeded[..]].concat()).contains("refresh over grpc"));
        assert!(fault(&[&["refresh", "--seed", "4"], &seeded[..]].concat()).contains("make 4 samples of 2048"));
        assert!(fault(&["refresh", "--seeded", "9000"]).contains("--master-keys-file"));
    }
}
