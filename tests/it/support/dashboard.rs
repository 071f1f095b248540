use serde_json::{Value, json};

/// A panel: its title, its unit as Grafana names it, and its queries with the name of their curves.
type Panel = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// In rows of three.
const PANELS: &[Panel] = &[
    (
        "Refreshes by outcome",
        "ops",
        &[("sum by (outcome) (rate(symbolon_refreshes_total[$__rate_interval]))", "{{outcome}}")],
    ),
    (
        "Time of a refresh",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(rpc_server_call_duration_seconds_bucket{rpc_method=\"symbolon.auth.v1.AuthService/RefreshTokens\"}[$__rate_interval])))",
                "half",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(rpc_server_call_duration_seconds_bucket{rpc_method=\"symbolon.auth.v1.AuthService/RefreshTokens\"}[$__rate_interval])))",
                "99 %",
            ),
        ],
    ),
    (
        "Calls by status",
        "ops",
        &[(
            "sum by (rpc_response_status_code) (rate(rpc_server_call_duration_seconds_count[$__rate_interval]))",
            "{{rpc_response_status_code}}",
        )],
    ),
    (
        "Refusals by reason",
        "ops",
        &[("sum by (reason) (rate(symbolon_calls_total{reason!=\"OK\"}[$__rate_interval]))", "{{reason}}")],
    ),
    (
        "Stolen, or lost",
        "ops",
        &[
            ("sum(rate(symbolon_refreshes_total{outcome=\"reuse\"}[$__rate_interval]))", "reuse: session ended"),
            ("sum(rate(symbolon_replays_other_device_total[$__rate_interval]))", "replayed by another device"),
            (
                "sum(rate(symbolon_refreshes_total{outcome=\"rolled_back\"}[$__rate_interval]))",
                "the database lost commits",
            ),
            ("sum(rate(symbolon_denied_total{dry_run=\"false\"}[$__rate_interval]))", "denied by policy"),
        ],
    ),
    (
        "Sessions",
        "ops",
        &[
            ("sum(rate(symbolon_sessions_issued_total[$__rate_interval]))", "issued"),
            ("sum(rate(symbolon_sessions_revoked_total[$__rate_interval]))", "revoked"),
        ],
    ),
    (
        "Edge: requests",
        "reqps",
        &[(
            "sum by (http_route, http_response_status_code) (rate(http_server_request_duration_seconds_count[$__rate_interval]))",
            "{{http_route}} {{http_response_status_code}}",
        )],
    ),
    (
        "Edge: time, 99 %",
        "s",
        &[(
            "histogram_quantile(0.99, sum by (le, http_route) (rate(http_server_request_duration_seconds_bucket[$__rate_interval])))",
            "{{http_route}}",
        )],
    ),
    (
        "Edge: access tokens checked",
        "ops",
        &[(
            "sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count{http_route=~\".*/check\"}[$__rate_interval]))",
            "{{http_response_status_code}}",
        )],
    ),
    (
        "Gateways: requests, and what became of them",
        "reqps",
        &[("sum by (answer) (rate(symbolon_gateway_checks_total[$__rate_interval]))", "{{answer}}")],
    ),
    (
        "Rotations a statement",
        "short",
        &[(
            "sum(rate(symbolon_rotations_batch_size_sum[$__rate_interval])) / sum(rate(symbolon_rotations_batch_size_count[$__rate_interval]))",
            "mean",
        )],
    ),
    (
        "Time of a statement",
        "s",
        &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(symbolon_rotations_batch_seconds_bucket[$__rate_interval])))",
                "half",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(symbolon_rotations_batch_seconds_bucket[$__rate_interval])))",
                "99 %",
            ),
        ],
    ),
    (
        "Connections to the database",
        "short",
        &[
            ("symbolon_store_connections", "{{instance}} {{pool}} {{state}}"),
            ("rate(symbolon_store_retries_total[$__rate_interval])", "{{instance}} tries again a second"),
        ],
    ),
    (
        "How late revocations are known, 99 %",
        "s",
        &[
            (
                "histogram_quantile(0.99, sum by (le) (rate(symbolon_revocation_lag_seconds_bucket[$__rate_interval])))",
                "learned from another replica",
            ),
            ("time() - symbolon_feed_heard_timestamp_seconds", "{{instance}} last heard"),
        ],
    ),
    (
        "Watchers",
        "short",
        &[
            ("symbolon_watchers", "{{instance}}"),
            ("increase(symbolon_watchers_too_slow_total[$__rate_interval])", "{{instance}} sent away"),
        ],
    ),
    (
        "Ended sessions in memory",
        "short",
        &[("symbolon_feed_entries", "{{instance}}"), ("symbolon_verifier_revoked_sessions", "{{instance}} edge")],
    ),
    ("Signing keys", "short", &[("max by (state) (symbolon_signing_keys)", "{{state}}")]),
    ("Age of the signing key", "s", &[("time() - max(symbolon_signing_key_activated_timestamp_seconds)", "age")]),
    (
        "Ready, and what is wrong",
        "short",
        &[
            ("symbolon_ready", "{{instance}} ready"),
            ("increase(symbolon_lines_dropped_total[$__rate_interval])", "{{instance}} {{stream}} lines dropped"),
            (
                "increase(symbolon_reloads_total{outcome=\"refused\"}[$__rate_interval])",
                "{{instance}} {{what}} refused",
            ),
        ],
    ),
    ("CPU", "percentunit", &[("rate(process_cpu_seconds_total[$__rate_interval])", "{{instance}}")]),
    ("Memory", "bytes", &[("process_resident_memory_bytes", "{{instance}}")]),
    (
        "Files and sockets",
        "short",
        &[("process_open_fds", "{{instance}}"), ("process_max_fds", "{{instance}} at most")],
    ),
];

/// Every query of the dashboard.
pub(crate) fn queries() -> impl Iterator<Item = &'static str> {
    PANELS.iter().flat_map(|(_, _, queries)| queries.iter().map(|(query, _)| *query))
}

/// The dashboard as Grafana imports it.
pub(crate) fn dashboard() -> Value {
    let panels: Vec<_> = PANELS.iter().enumerate().map(|(at, panel)| drawn(at, panel)).collect();
    let source = json!({
        "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {},
    });
    json!({
        "title": "Symbolon", "uid": "symbolon", "tags": ["symbolon"], "schemaVersion": 39, "editable": true,
        "refresh": "30s", "time": { "from": "now-6h", "to": "now" }, "timezone": "browser",
        "templating": { "list": [source] },
        "panels": panels,
    })
}

fn drawn(at: usize, (title, unit, queries): &Panel) -> Value {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let targets: Vec<_> = queries
        .iter()
        .zip('A'..)
        .map(|((query, legend), name)| {
            json!({ "refId": name.to_string(), "expr": query, "legendFormat": legend, "datasource": source })
        })
        .collect();
    json!({
        "id": at + 1, "title": title, "type": "timeseries", "datasource": source, "targets": targets,
        "gridPos": { "x": at % 3 * 8, "y": at / 3 * 8, "w": 8, "h": 8 },
        "fieldConfig": { "defaults": { "unit": unit, "min": 0 }, "overrides": [] },
        "options": { "legend": { "displayMode": "list", "placement": "bottom" }, "tooltip": { "mode": "multi" } },
    })
}
