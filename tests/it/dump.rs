//! Whoever steals the database has nothing that opens anything.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use symbolon::keys::MasterKeys;
use symbolon::keys::seal::{Binding, open};
use symbolon::pb::auth::{
    IntrospectTokenRequest, IntrospectTokenResponse, IssueTokensRequest, IssueTokensResponse, TokenPair,
};
use symbolon::store::{Missing, Store, Url};
use uuid::Uuid;

use crate::support::{MASTER_KEY, Secret, Server, active_key, as_text, assert_silent, files, raw, reason, sign_in};

/// A server that has seen some life, and every token it has handed out.
async fn lived() -> (Server, Vec<TokenPair>) {
    let server = Server::start().await;
    let mut handed_out = Vec::new();
    for number in 0..5 {
        let request_id = Uuid::from_u128(number).to_string();
        let asked = IssueTokensRequest { request_id, ..sign_in(&format!("subject {number}")) };
        let issued: IssueTokensResponse = server.client().issue_tokens(asked).await.unwrap().into_inner();
        let mut newest = issued.tokens.unwrap();
        for _ in 0..number {
            let next = server.refresh(&newest.refresh_token).await.unwrap().tokens.unwrap();
            handed_out.push(std::mem::replace(&mut newest, next));
            server.pass(60);
        }
        // A lost answer, so that a decision is remembered.
        if let Some(before) = handed_out.last().filter(|_| number > 0) {
            handed_out.push(server.refresh(&before.refresh_token).await.unwrap().tokens.unwrap());
        }
        if number == 4 {
            assert!(server.revoke(&issued.session.unwrap().session_id).await);
        }
        handed_out.push(newest);
    }
    (server, handed_out)
}

/// Every value of every column of every table, as bytes.
async fn values(database: &DatabaseConnection) -> Vec<(String, Vec<u8>)> {
    let query = async |sql: String| {
        let statement = Statement::from_string(database.get_database_backend(), sql);
        let rows = database.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index::<Option<String>>(0).unwrap()).collect::<Vec<_>>()
    };
    let mut values = Vec::new();
    for table in query("SELECT name FROM sqlite_master WHERE type = 'table'".to_owned()).await.into_iter().flatten() {
        for column in query(format!("SELECT name FROM pragma_table_info('{table}')")).await.into_iter().flatten() {
            let sql = format!("SELECT hex(CAST(\"{column}\" AS BLOB)) FROM \"{table}\"");
            for hex in query(sql).await.into_iter().flatten() {
                let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                values.push((format!("{table}.{column}"), (0..hex.len()).step_by(2).map(byte).collect()));
            }
        }
    }
    values
}

/// R-RT-10
#[tokio::test]
async fn no_value_of_a_stolen_database_works_as_a_token() {
    let (server, handed_out) = lived().await;
    let values = values(&raw(&server.database()).await).await;
    let tables = ["sessions", "issue_requests", "signing_keys", "master_keys", "issuer", "seaql_migrations"];
    for table in tables {
        assert!(values.iter().any(|(column, _)| column.starts_with(table)), "{table} was not dumped");
    }

    let mut tried = 0;
    let mut client = server.client();
    for (column, value) in &values {
        let written = as_text(value).into_iter().filter(|text| !text.is_empty());
        for token in written.flat_map(|text| [format!("sr1_{text}"), text]) {
            let refused = server.refresh(&token).await.expect_err(column);
            assert!(
                ["REFRESH_TOKEN_INVALID", "MASTER_KEY_UNKNOWN"].contains(&reason(&refused).as_str()),
                "{refused:?}"
            );
            let judged = client.introspect_token(IntrospectTokenRequest { token }).await.unwrap().into_inner();
            assert_eq!(judged, IntrospectTokenResponse::default(), "{column}");
            tried += 1;
        }
    }
    assert!(tried > 1000, "only {tried} were tried");
    // And all that time a real one would have worked.
    server.rotate(&handed_out[0].refresh_token).await;
}

/// R-RT-10
#[tokio::test]
async fn the_files_of_a_database_hold_no_token_and_no_key() {
    let (server, handed_out) = lived().await;
    let database = server.database();
    let while_running = files(database.parent().unwrap());
    let dir = server.stop().await;
    let after = files(dir.path());
    assert!(while_running.iter().any(|(name, content)| name.ends_with("-wal") && !content.is_empty()));

    let keys = MasterKeys::parse(MASTER_KEY).unwrap();
    let store = Store::open(&Url::Sqlite(database), Missing::Refuse).await.unwrap();
    let key = active_key(&store).await;
    store.close().await;
    let issuer = "http://localhost:8080";
    let binding = Binding { purpose: "signing-key/v1", issuer, key_id: key.member.public.key_id() };
    let seed = open(&keys, binding, &key.sealed.unwrap()).unwrap();
    let mut secrets = vec![
        Secret::new("the seed of the signing key", &seed[..]),
        Secret::new("the master key", std::array::from_fn::<u8, 32, _>(|at| u8::try_from(at).unwrap())),
        Secret::new("the key that seals", *keys.first().derive("seal/v1", issuer)),
        Secret::new("the key of the tags", *keys.first().derive("refresh-token/v1", issuer)),
        Secret::new("the key of the token ids", *keys.first().derive("jti/v1", issuer)),
    ];
    for (number, pair) in handed_out.iter().enumerate() {
        secrets.extend(Secret::refresh_token(&format!("refresh token {number}"), &pair.refresh_token));
        secrets.extend(Secret::access_token(&format!("access token {number}"), &pair.access_token));
    }
    // What is public is found: the search looks where it should.
    let public = Secret::new("the public key", key.member.public.verifying_key().as_bytes());
    assert!(after.iter().any(|(_, content)| public.found_in(content).is_some()));
    for (name, content) in while_running.iter().chain(&after) {
        assert_silent(name, content, &secrets);
    }
}
