//! Sign-ins: a session for a subject nobody heard of before.

use std::sync::Arc;

use super::Subjects;
use crate::doors::{Door, Doors, Refusal};
use crate::drive::{Notes, Work};
use crate::plan::Plan;

pub(super) struct Worker {
    door: Door,
    subjects: Arc<Subjects>,
}

pub(super) fn workers(plan: &Plan, doors: &Doors, subjects: &Arc<Subjects>) -> Vec<Worker> {
    let worker = |at| Worker { door: doors.door(at), subjects: Arc::clone(subjects) };
    (0..plan.pace.in_flight()).map(worker).collect()
}

impl Work for Worker {
    async fn once(&mut self, _: &Notes) -> Result<(), Refusal> {
        self.door.issue(&self.subjects.next()).await.map(drop)
    }
}
