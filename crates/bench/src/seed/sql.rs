//! The seeded sessions as SQL for a database that is migrated and empty: rows as sign-ins leave them. It runs nothing, and
//! reads no clock.

use std::fmt::{self, Write};
use std::ops::Range;

use symbolon::time::Timestamp;

use super::{BORN, GENERATORS, MONTH, PRIME, Stretch};

/// Whose SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Database {
    /// For `psql --set ON_ERROR_STOP=1`
    Postgres,
    /// For sqlite3 or another SQLite, 3.38 or newer; no service may have the file open
    Sqlite,
}

/// So many rows a transaction.
const CHUNK: u32 = 500_000;

const HOUR: u64 = 3_600_000;

/// Two months: nobody who signed in during the last one is over during the next.
const LIFETIME: u64 = 2 * MONTH;

/// The columns but the id and the lifetime, from the number `n` and the time of the sign-in `b`.
const COLUMNS: [(&str, &str); 21] = [
    ("client_id", "'web'"),
    ("caller", "'seed'"),
    ("audience", "'api'"),
    ("scope", "''"),
    ("claims", "'{}'"),
    ("amr", "'pwd'"),
    ("auth_time", "b"),
    ("access_token_ttl", "900"),
    ("browser_session", "FALSE"),
    ("generation", "1"),
    ("rotated_at", "b"),
    ("recovered_generation", "0"),
    ("recovered_at", "b"),
    ("recovery_streak", "0"),
    ("burst_generation", "1"),
    ("burst_at", "b"),
    ("created_at", "b"),
    ("user_agent", "'Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0'"),
    ("ip_address", "'203.0.113.7'"),
    ("decisions", "'[]'"),
    ("subject", "'seed-' || n"),
];

/// Seeds so many sessions that live, born during the month that ended an hour ago, and besides so many that expired more
/// than a month ago.
#[must_use]
pub fn sql(database: Database, sessions: u32, expired: u32, now: Timestamp) -> String {
    let now = u64::try_from(now.millis()).unwrap_or_default();
    let living = (Stretch::living(sessions), now - HOUR - MONTH);
    let over = (Stretch { sessions: expired, first: sessions, born: BORN - 3 * MONTH }, now - LIFETIME - 2 * MONTH);
    let mut text = String::from(database.begin());
    // Whoever signed in first is written first.
    for (stretch, signed_in) in [over, living] {
        for from in (0..stretch.sessions).step_by(CHUNK as usize) {
            let until = stretch.sessions.min(from + CHUNK);
            let _ = database.chunk(&mut text, stretch, signed_in, from..until);
        }
    }
    text + database.end()
}

impl Database {
    fn begin(self) -> &'static str {
        match self {
            Self::Postgres => "SET synchronous_commit = off;\n",
            Self::Sqlite => "PRAGMA synchronous = OFF;\nPRAGMA cache_size = -262144;\n",
        }
    }

    fn end(self) -> &'static str {
        match self {
            // What was written last would else be lost by a crash, and what is read first would write.
            Self::Postgres => "VACUUM (ANALYZE) sessions;\nANALYZE;\n",
            Self::Sqlite => "PRAGMA analysis_limit = 1000;\nANALYZE;\nPRAGMA wal_checkpoint(TRUNCATE);\n",
        }
    }

    /// The sessions of a stretch with these places in it. `i` is a place, `n` a number, `b` a sign-in; `x`, `y` and `z` are
    /// the id's first 64 bits and twice 32.
    fn chunk(self, text: &mut String, stretch: Stretch, signed_in: u64, places: Range<u32>) -> fmt::Result {
        let Stretch { sessions, first, born } = stretch;
        let (from, last) = (places.start, places.end - 1);
        let [high, low] = GENERATORS.map(|generator| format!("({first} + i + 1) * {generator} % {PRIME}"));
        let (numbers, id, tables) = match self {
            Self::Postgres => (format!("SELECT generate_series({from}::bigint, {last})"), postgres_id(), "words"),
            Self::Sqlite => (
                format!("SELECT {from} UNION ALL SELECT i + 1 FROM numbers WHERE i < {last}"),
                sqlite_id(),
                "words, bytes",
            ),
        };
        let bytes = if self == Self::Sqlite { sqlite_bytes() } else { String::new() };
        let (names, values): (Vec<_>, Vec<_>) = COLUMNS.into_iter().unzip();
        let [begin, commit] = if self == Self::Sqlite { ["BEGIN IMMEDIATE;\n", "COMMIT;\n"] } else { ["", ""] };
        write!(
            text,
            "{begin}WITH RECURSIVE numbers (i) AS ({numbers}),\n\
             births AS (SELECT i, i * {MONTH} / {sessions} AS since FROM numbers),\n\
             parts AS (SELECT {first} + i AS n, {signed_in} + since AS b, {born} + since AS ms, {high} AS h, {low} AS l \
             FROM births),\n\
             words AS (SELECT n, b, ((ms >> 12) << 16) | 32768 | (ms & 4095) AS x, 2147483648 | (h >> 1) AS y, \
             ((h & 1) << 31) | l AS z FROM parts){bytes}\n\
             INSERT INTO sessions (id, {}, idle_ttl, idle_expires_at, expires_at)\n\
             SELECT {id}, {}, {}, b + {LIFETIME}, b + {LIFETIME} FROM {tables};\n{commit}",
            names.join(", "),
            values.join(", "),
            LIFETIME / 1000,
        )
    }
}

fn postgres_id() -> String {
    let hex = |word, digits| format!("lpad(to_hex({word}), {digits}, '0')");
    format!("CAST({} || {} || {} AS uuid)", hex("x", 16), hex("y", 8), hex("z", 8))
}

/// SQLite reads hex since 3.41, and many have an older one: each byte is cut out of all there are.
fn sqlite_id() -> String {
    let byte = |word, shift| format!("substr(every, ({word} >> {shift} & 255) + 1, 1)");
    let of = |word, bits: u32| (0..bits / 8).rev().map(move |at| byte(word, at * 8));
    let all: Vec<_> = of("x", 64).chain(of("y", 32)).chain(of("z", 32)).collect();
    format!("CAST({} AS BLOB)", all.join(" || "))
}

fn sqlite_bytes() -> String {
    let every: String = (0..=u8::MAX).map(|byte| format!("{byte:02x}")).collect();
    format!(",\nbytes (every) AS (SELECT x'{every}')")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_in_one_transaction_and_all_but_the_last_are_full() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let text = sql(Database::Sqlite, 1_000_001, 0, now);
        let from =
            |from: u32, last: u32| format!("SELECT {from} UNION ALL SELECT i + 1 FROM numbers WHERE i < {last})");
        for chunk in [from(0, 499_999), from(500_000, 999_999), from(1_000_000, 1_000_000)] {
            assert_eq!(text.matches(&chunk).count(), 1, "{chunk}");
        }
        assert_eq!(text.matches("INSERT").count(), 3);
        let expired = sql(Database::Postgres, 1, 500_000, now);
        assert_eq!(expired.matches("INSERT").count(), 2, "those that are over besides");
    }
}
