//! The load generator, for a moment each: against a real server, over gRPC and through the edge, in both loops, with a report.

use symbolon_bench::{Outcome, cli, report, run};
use tempfile::tempdir;

use crate::support::Process;

/// What came of this command line.
async fn bench(process: &Process, words: &[&str]) -> Outcome {
    let (grpc, http, id) = (format!("http://{}", process.grpc), format!("http://{}", process.edge), process.id());
    let (id, short) =
        (id.to_string(), ["--for", "500ms", "--warm-up", "100ms", "--sessions", "64", "--in-flight", "16"]);
    let target = ["--server", &grpc, "--http", &http, "--server-pid", &id];
    let plan = cli::plan([&["symbolon-bench"], words, &short, &target].concat()).unwrap();
    let outcome = run(&plan).await.unwrap();
    assert!(outcome.operations > 0, "{words:?}: nothing was done");
    assert!(outcome.errors.is_empty(), "{words:?}: {:?}", outcome.errors);
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_generator_measures_a_real_server() {
    let dir = tempdir().unwrap();
    let process = Process::dev(dir.path(), &[]).await;

    let closed = bench(&process, &["refresh"]).await;
    assert!(closed.latency.p50 > 0.0 && closed.latency.p50 <= closed.latency.max);
    assert_eq!(closed.timeline.operations.iter().sum::<u64>(), closed.operations);
    if cfg!(target_os = "linux") {
        assert!(closed.cost["server"].sum() > 0.0, "a server that does something spends something");
    }
    assert_eq!(closed.unsent, None);

    let edge = bench(&process, &["refresh", "--over", "edge"]).await;

    let open = bench(&process, &["refresh", "--rate", "100"]).await;
    assert!(open.unsent.is_some_and(|unsent| unsent <= 50), "at most what was due in half a second");

    let race = bench(&process, &["race", "--contenders", "3"]).await;
    assert_eq!(race.counts["same successor"], 3 * race.counts["races"], "all of them got the same");
    assert_eq!((race.counts["refused"], race.counts["sessions ended"]), (0, 0));

    // One that a watcher did not hear of is an error.
    let watch = bench(&process, &["watch", "--watchers", "5", "--rate", "40"]).await;
    assert!(watch.counts["revocations"] > 0);

    for words in [["issue"], ["introspect"], ["verify"]] {
        bench(&process, &words).await;
    }
    let page = report::html(&[closed, edge, open]);
    assert!(page.contains("refresh over edge") && page.contains("<svg"));
}
