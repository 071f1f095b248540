//! The table of the refresh rule once more, in its plainest form: row by row, whole numbers, milliseconds. It is written
//! from the table and shares nothing with the code it is held against. The one line the table has no row for is marked.

/// The row of the database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) columns: Columns,
    pub(super) absolute: i128,
    pub(super) idle_ttl: i128,
    pub(super) access_ttl: i128,
    pub(super) revoked: bool,
}

/// The columns the rule may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) generation: i128,
    pub(super) rotated_at: i128,
    pub(super) recovered_generation: i128,
    pub(super) recovered_at: i128,
    pub(super) recovery_streak: i128,
    pub(super) burst_generation: i128,
    pub(super) burst_at: i128,
    pub(super) idle: i128,
}

/// What is asked, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) generation: i128,
    pub(super) when_due: bool,
    /// Scope or audience is more than was granted.
    pub(super) widened: bool,
    pub(super) caller_permitted: bool,
}

/// The client's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) leeway: i128,
    pub(super) limit: i128,
    pub(super) burst: i128,
    pub(super) when_due_declared: bool,
}

/// The number of the row that answers, and all columns afterwards if it writes any.
/// The row of the table, and what stands in the columns afterwards if it writes any of them.
pub(super) type Answer = (&'static str, Option<Columns>);

pub(super) fn answer(ask: Ask, row: Option<Row>, now: i128, numbers: Numbers) -> Answer {
    let Some(row) = row else {
        return ("1", None);
    };
    if !ask.caller_permitted {
        return ("2", None);
    }
    if row.revoked {
        return ("3", None);
    }
    let end = if row.columns.idle < row.absolute { row.columns.idle } else { row.absolute };
    if end - now < 1000 {
        return ("4", None);
    }

    let answer = among_the_living(ask, row, now, end, numbers);
    // Not in the table: after generation 2^32 - 1 there is no next one, and the session is over.
    if answer.1.is_some_and(|written| written.generation == 1 << 32) {
        return ("4", None);
    }
    let yields_tokens = ["5", "7", "8", "9", "10", "11"].contains(&answer.0);
    let undeclared = ask.when_due && !numbers.when_due_declared;
    if yields_tokens && (ask.widened || undeclared) {
        return ("6½", None);
    }
    answer
}

fn among_the_living(ask: Ask, row: Row, now: i128, end: i128, numbers: Numbers) -> Answer {
    let p = ask.generation;
    let old = row.columns;
    let g = old.generation;
    let age = if now > old.rotated_at { now - old.rotated_at } else { 0 };
    let not_before_rotation = if now > old.rotated_at { now } else { old.rotated_at };
    let moved_idle = if not_before_rotation + row.idle_ttl < row.absolute {
        not_before_rotation + row.idle_ttl
    } else {
        row.absolute
    };

    if p > g && p <= g + 2 {
        let mut new = old;
        new.burst_generation = g;
        new.burst_at = now;
        new.generation = p + 1;
        new.rotated_at = not_before_rotation;
        new.recovered_generation = 0;
        new.recovery_streak = 0;
        new.idle = moved_idle;
        return ("5", Some(new));
    }
    if p > g + 2 {
        return ("6", None);
    }

    if p == g {
        let minted_at = if old.recovered_generation == g { old.recovered_at } else { old.rotated_at };
        let iat = minted_at / 1000;
        let life = if row.access_ttl / 1000 < end / 1000 - iat { row.access_ttl / 1000 } else { end / 1000 - iat };
        let due_at = iat * 1000 + life * 600;
        if ask.when_due && now < due_at {
            return ("7", None);
        }
        let mut new = old;
        if age >= numbers.burst || now - old.burst_at >= 5 * numbers.burst {
            let with_its_predecessor = age < numbers.burst || old.recovered_generation == g;
            new.burst_generation = if with_its_predecessor { g - 1 } else { g };
            new.burst_at = now;
        }
        new.generation = g + 1;
        new.rotated_at = not_before_rotation;
        new.idle = moved_idle;
        return ("8", Some(new));
    }

    if p == g - 1 {
        if old.recovered_generation == g {
            return ("9", None);
        }
        if age < numbers.leeway {
            return ("10", None);
        }
        let streak = if old.recovered_generation == g - 1 { old.recovery_streak + 1 } else { 1 };
        if streak <= numbers.limit {
            let mut new = old;
            new.recovered_generation = g;
            new.recovered_at = not_before_rotation;
            new.recovery_streak = streak;
            return ("11", Some(new));
        }
        return ("12", None);
    }

    let in_burst = p >= old.burst_generation && age < numbers.burst && now - old.burst_at < 5 * numbers.burst;
    if in_burst {
        return ("13", None);
    }
    ("14", None)
}
