//! Races: several present one refresh token at the same moment, as tabs do; in the next round everybody presents what it
//! got, or the old token if it got nothing. If that leaves them with one token the next race is for it; if not they sign in
//! again.

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::future::join_all;

use super::{Round, Subjects, shares};
use crate::doors::{Door, Doors, Refusal};
use crate::drive::{Notes, Work};
use crate::plan::Plan;

pub(super) struct Worker {
    /// One for each contender.
    doors: Vec<Door>,
    groups: Round<Group>,
    subjects: Arc<Subjects>,
}

/// What each contender for a session holds.
struct Group {
    tokens: Vec<String>,
    /// Whether the race is run, and this round is the one in which they go on.
    raced: bool,
}

/// What became of one round.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    /// Who got the successor that the first of them got.
    same: u64,
    /// Who got one, but another.
    other: u64,
    refused: u64,
    /// Why somebody was told nothing about the token.
    failed: Option<Cow<'static, str>>,
}

pub(super) fn workers(
    plan: &Plan,
    doors: &Doors,
    subjects: &Arc<Subjects>,
    tokens: Vec<String>,
    contenders: usize,
) -> Vec<Worker> {
    let group = |token| Group { tokens: vec![token; contenders], raced: false };
    let worker = |(at, tokens): (usize, Vec<String>)| Worker {
        doors: (0..contenders).map(|contender| doors.door(at * contenders + contender)).collect(),
        groups: Round::new(tokens.into_iter().map(group).collect()),
        subjects: Arc::clone(subjects),
    };
    shares(plan, tokens).map(worker).collect()
}

impl Work for Worker {
    async fn once(&mut self, notes: &Notes) -> Result<(), Refusal> {
        let group = self.groups.next();
        let calls = self.doors.iter_mut().zip(&group.tokens).map(|(door, token)| door.refresh(token));
        let answers = join_all(calls).await;
        let verdict = Verdict::of(&answers);
        for (token, answer) in group.tokens.iter_mut().zip(answers) {
            if let Ok(next) = answer {
                *token = next;
            }
        }
        let raced = group.raced;
        group.raced = !raced;
        if notes.count() {
            write(notes, &verdict, raced);
        }
        if raced && group.tokens.iter().any(|token| *token != group.tokens[0]) || verdict.ended() {
            let token = self.doors[0].issue(&self.subjects.next()).await?;
            group.tokens.fill(token);
            group.raced = false;
        }
        verdict.failed.map_or(Ok(()), |code| Err(Refusal::Failed(code)))
    }
}

impl Verdict {
    fn of(answers: &[Result<String, Refusal>]) -> Self {
        let mut verdict = Self::default();
        let first = answers.iter().find_map(|answer| answer.as_ref().ok());
        for answer in answers {
            match answer {
                Ok(token) if Some(token) == first => verdict.same += 1,
                Ok(_) => verdict.other += 1,
                Err(Refusal::Refused(_)) => verdict.refused += 1,
                Err(Refusal::Failed(code)) => verdict.failed = Some(code.clone()),
            }
        }
        verdict
    }

    /// Whether nobody has a token any more that is good for anything.
    fn ended(&self) -> bool {
        self.same == 0 && self.failed.is_none()
    }
}

fn write(notes: &Notes, verdict: &Verdict, raced: bool) {
    notes.write(|tally| {
        if !raced {
            tally.count("races", 1);
            tally.count("same successor", verdict.same);
            tally.count("another successor", verdict.other);
            tally.count("refused", verdict.refused);
        }
        tally.count("sessions ended", u64::from(verdict.ended()));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers: a token, or nothing for a refusal.
    fn answers(tokens: &[&str]) -> Vec<Result<String, Refusal>> {
        let refused = || Refusal::Refused(Cow::Borrowed("401"));
        tokens.iter().map(|token| if token.is_empty() { Err(refused()) } else { Ok((*token).to_owned()) }).collect()
    }

    #[test]
    fn everybody_may_get_the_same() {
        let verdict = Verdict::of(&answers(&["b", "b", "b"]));
        assert_eq!(verdict, Verdict { same: 3, ..Verdict::default() });
        assert!(!verdict.ended());
    }

    #[test]
    fn one_may_win_and_the_others_get_another_or_nothing() {
        let verdict = Verdict::of(&answers(&["", "b", "c", ""]));
        assert_eq!(verdict, Verdict { same: 1, other: 1, refused: 2, failed: None });
    }

    #[test]
    fn a_session_is_over_when_all_are_refused_and_not_when_the_server_fails() {
        assert!(Verdict::of(&answers(&["", ""])).ended());
        let mut answers = answers(&["", ""]);
        answers[1] = Err(Refusal::Failed(Cow::Borrowed("503")));
        assert!(!Verdict::of(&answers).ended());
    }
}
