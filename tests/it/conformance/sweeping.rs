use std::time::Duration;

use symbolon::store::{Issued, Selection};

use super::requests::request;
use super::{at, bare};
use crate::support::{Database, Dice};

/// R-RT-11
#[tokio::test]
async fn sessions_are_swept_at_their_absolute_end_and_request_ids_after_a_day() {
    for database in &Database::each().await {
        let (store, kind) = (&database.store, database.kind);
        let dice = Dice::seeded(11);
        let ends = at(0).after(Duration::from_secs(30 * 86_400));
        for second in 0..10 {
            let session = bare(&dice, "alice", at(second));
            store.create(&session, Some(&request(second.into(), 1))).await.unwrap();
        }
        assert_eq!(store.sweep(at(86_400), 100).await.unwrap(), 0, "{kind}: nothing is older than a day");
        assert_eq!(store.sweep(at(86_405), 100).await.unwrap(), 5, "{kind}: five request ids are");
        assert_eq!(store.sweep(at(90_000), 3).await.unwrap(), 3, "{kind}: never more than a portion");
        assert_eq!(store.sweep(at(90_000), 3).await.unwrap(), 2, "{kind}");
        assert_eq!(database.number("SELECT count(*) FROM issue_requests").await, 0, "{kind}");

        assert_eq!(store.sweep(ends, 100).await.unwrap(), 0, "{kind}: the first session ends at this very instant");
        assert_eq!(store.sweep(ends.after(Duration::from_secs(4)), 100).await.unwrap(), 4, "{kind}");
        let alice = Selection { subject: "alice", clients: None, client_id: None };
        assert_eq!(store.list(alice, None, None, 100).await.unwrap().len(), 6, "{kind}");
        // The id is free again for another sign-in.
        let again = store.create(&bare(&dice, "alice", at(90_000)), Some(&request(1, 1))).await.unwrap();
        assert!(matches!(again, Issued::Created), "{kind}");
    }
}
