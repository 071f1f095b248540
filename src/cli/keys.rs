//! `symbolon keys`: a gRPC client of a running service, so that it works beside it; only `rewrap` and `give-up` open the
//! database.

use std::collections::BTreeSet;

use clap::Subcommand;

use super::assemble::master_keys;
use super::client::Server;
use super::data_dir::config;
use super::output::{Output, json, print, shown, table};
use super::restore::{alone, now};
use super::run::start_telling;
use super::{Configured, Failure, data_dir};
use crate::audit::Audit;
use crate::config::Config;
use crate::entropy::SystemEntropy;
use crate::keys::ring::KeyState;
use crate::keys::{MasterKeys, SigningKey};
use crate::pb::auth::key_service_client::KeyServiceClient;
use crate::pb::auth::{
    ListSigningKeysRequest, ListSigningKeysResponse, RevokeSigningKeyRequest, RotateSigningKeyRequest,
    SigningKey as Shown, SigningKeyState as State,
};
use crate::service::keyring::LoadError;
use crate::store::{Missing, Store, StoredKey};

#[derive(Subcommand)]
pub(super) enum Keys {
    /// Lists the keys of the ring, the next to sign first
    List {
        /// Those that are gone or compromised, too
        #[arg(long)]
        include_ended: bool,
        #[arg(long, value_enum, default_value = "table")]
        output: Output,
        #[command(flatten)]
        server: Server,
    },
    /// Says which key signs, and what comes next; fails if none signs or none waits to
    Status {
        #[command(flatten)]
        server: Server,
    },
    /// Has the next key sign as soon as verifiers have had time to fetch it
    Rotate {
        /// At once; verifiers that cache the key set refuse its tokens until they fetch again
        #[arg(long)]
        skip_publish_ahead: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Takes a compromised key out of use at once: its tokens are refused, and the next key signs
    Revoke {
        /// As `list` shows it
        #[arg(allow_hyphen_values = true)]
        key_id: String,
        #[command(flatten)]
        server: Server,
    },
    /// Seals the signing keys anew under the first master key, so that another can be given up; can be repeated
    Rewrap(Configured),
    /// Gives up the signing keys sealed under a master key that is lost, so that a server can start and make new ones. No
    /// server may be at work
    GiveUp {
        /// The id of the master key that nobody has any more
        #[arg(value_name = "MASTER_KEY_ID", value_parser = clap::value_parser!(u8).range(1..))]
        lost: u8,
        #[command(flatten)]
        configured: Configured,
    },
}

pub(super) async fn keys(command: Keys) -> Result<(), Failure> {
    match command {
        Keys::List { include_ended, output, server } => {
            let keys = list(&server, include_ended).await?;
            print(&match output {
                Output::Json => json("ListSigningKeysResponse", &keys)?,
                Output::Table => {
                    let head = ["KEY", "STATE", "MADE", "SIGNS FROM", "SIGNS UNTIL", "VERIFIES UNTIL"];
                    table(&head, &keys.keys.iter().map(row).collect::<Vec<_>>())
                }
            })
        }
        Keys::Status { server } => status(&list(&server, false).await?),
        Keys::Rotate { skip_publish_ahead, server } => {
            let request = RotateSigningKeyRequest { skip_publish_ahead, ..RotateSigningKeyRequest::default() };
            let mut client = KeyServiceClient::new(server.connect().await?);
            let rotated = server.answered(client.rotate_signing_key(request).await)?;
            print(&rotated.key.map(|key| signs(&key)).unwrap_or_default())
        }
        Keys::Revoke { key_id, server } => {
            let request = RevokeSigningKeyRequest { key_id: key_id.clone() };
            let mut client = KeyServiceClient::new(server.connect().await?);
            let revoked = server.answered(client.revoke_signing_key(request).await)?;
            let active = revoked.active_key.map(|key| signs(&key)).unwrap_or_default();
            print(&format!("{key_id} is revoked\n{active}"))
        }
        Keys::Rewrap(configured) => Box::pin(rewrap(configured)).await,
        Keys::GiveUp { lost, configured } => Box::pin(give_up(lost, configured)).await,
    }
}

async fn list(server: &Server, include_ended: bool) -> Result<ListSigningKeysResponse, Failure> {
    let request = ListSigningKeysRequest { include_ended };
    server.answered(KeyServiceClient::new(server.connect().await?).list_signing_keys(request).await)
}

fn row(key: &Shown) -> Vec<String> {
    let time = |time: Option<_>| time.map(shown).unwrap_or_default();
    vec![
        key.key_id.clone(),
        state(key.state()).to_owned(),
        time(key.create_time),
        time(key.activate_time),
        time(key.retire_time),
        time(key.expire_time),
    ]
}

/// A sentence for each key that signs or will, or a complaint.
fn status(ring: &ListSigningKeysResponse) -> Result<(), Failure> {
    let find = |state| ring.keys.iter().find(|key| key.state() == state);
    let retiring = ring.keys.iter().filter(|key| key.state() == State::Retiring).count();
    let active = find(State::Active).ok_or("no key signs")?;
    let pending = find(State::Pending).ok_or("no key is published to sign next")?;
    print(&format!("{}\n{}\n{retiring} more verify what they have signed", signs(active), signs(pending)))
}

fn signs(key: &Shown) -> String {
    let from = key.activate_time.map(shown).unwrap_or_default();
    match key.state() {
        State::Pending => format!("{} signs from {from}", key.key_id),
        State::Active => format!("{} has signed since {from}", key.key_id),
        other @ (State::Retiring | State::Gone | State::Compromised | State::Unspecified) => {
            format!("{} is {}", key.key_id, state(other))
        }
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Active => "active",
        State::Retiring => "retiring",
        State::Gone => "gone",
        State::Compromised => "compromised",
        State::Unspecified => "unknown",
    }
}

/// Each key by itself, so that whatever was done when it ends early stays done.
async fn rewrap(configured: Configured) -> Result<(), Failure> {
    let (store, keys) = open(&config(&configured)?).await?;
    let issuer = store.identity().await?.issuer;
    let mut told = Vec::new();
    for stored in store.signing_keys(false).await? {
        let (public, key_id) = (&stored.member.public, stored.member.public.key_id());
        let Some(sealed) = stored.sealed.filter(|sealed| sealed.master_key_id != keys.first().id()) else { continue };
        let opened = SigningKey::open(&keys, &issuer, public, &sealed);
        let opened = opened.map_err(|closed| format!("signing key {key_id} cannot be opened: it is {closed}"))?;
        let anew = opened.seal(&keys, &issuer, &SystemEntropy);
        if store.reseal_key(key_id, &sealed, &anew).await? {
            told.push(format!("{key_id} is sealed under master key {} now", keys.first().id()));
        }
    }
    store.close().await;
    print(&if told.is_empty() { "nothing to do".to_owned() } else { told.join("\n") })
}

/// Each key that is sealed under a master key nobody has any more. Which one that is, whoever knows it is lost says: what
/// happens to be held here says nothing.
async fn give_up(lost: u8, configured: Configured) -> Result<(), Failure> {
    let config = config(&configured)?;
    let telemetry = start_telling(&config.told)?;
    alone(&data_dir::database(&config)?).await?;
    let (store, keys) = open(&config).await?;
    for key in keys.iter() {
        if !store.recognise_master_key(key.id(), key.check_value()).await? {
            Err(LoadError::OtherMasterKey(key.id()))?;
        }
    }
    if keys.get(lost).is_some() {
        Err(format!("master key {lost} is not lost: it is among those that are set here"))?;
    }
    let (now, audit) = (now(&store).await?, Audit::default());
    let (mut told, mut others) = (Vec::new(), BTreeSet::new());
    for StoredKey { member, sealed } in store.signing_keys(false).await? {
        let Some(sealed) = sealed else { continue };
        if sealed.master_key_id != lost {
            others.insert(sealed.master_key_id.to_string());
        } else if store.give_up_key(&member, now).await? {
            let key_id = member.public.key_id();
            let change = if member.state == KeyState::Active { "retired" } else { "gone" };
            audit.signing_key(change, key_id, "lost", None);
            told.push(format!("{key_id} signs no more: master key {lost} is lost"));
        }
    }
    store.close().await;
    if told.is_empty() {
        let others = others.into_iter().collect::<Vec<_>>().join(", ");
        told.push(format!("nothing to do: what signs, or will, is sealed under other master keys: {others}"));
    }
    drop(telemetry);
    print(&told.join("\n"))
}

/// The database and the master keys: who reaches the service does not matter here.
async fn open(config: &Config) -> Result<(Store, MasterKeys), Failure> {
    let keys = match &config.master_keys {
        Some(keys) => master_keys(keys.expose(), "SYMBOLON_MASTER_KEYS")?,
        None => Err("there is no master key: set SYMBOLON_MASTER_KEYS_FILE or SYMBOLON_MASTER_KEYS")?,
    };
    let store = Store::open(&data_dir::database(config)?, Missing::Refuse).await?;
    store.check_schema().await?;
    Ok((store, keys))
}
