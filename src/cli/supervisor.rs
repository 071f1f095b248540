//! What systemd is told of this process where it asks (`Type=notify`): that it is ready, that it lives, that it stops.
//! A few datagrams; nobody else knows of it.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use crate::ops::{Served, readiness};

/// How long until it is looked again whether the process is ready.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Where systemd listens.
#[derive(Clone)]
pub(super) struct Supervisor {
    socket: PathBuf,
    /// How often it wants to hear that the process lives.
    every: Option<Duration>,
}

impl Supervisor {
    /// Who started this process, if it wants to hear of it.
    pub(super) fn of_this_process() -> Option<Self> {
        let socket = PathBuf::from(std::env::var_os("NOTIFY_SOCKET")?);
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        // It may have been meant for the process that started this one.
        let ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
        let patience = number("WATCHDOG_USEC").filter(|_| ours).map(Duration::from_micros);
        Some(Self { socket, every: patience.map(|patience| patience / 3) })
    }

    /// Tells of the process for as long as it serves. Never ends by itself.
    pub(super) async fn watch(self, served: Served) {
        let mut said = false;
        while let Err(unready) = readiness(&served).await {
            // Once is enough: who looks why it does not start finds it.
            if !std::mem::replace(&mut said, true) {
                unready.tell();
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        // It holds the service, which is closed when nobody does.
        drop(served);
        self.tell("READY=1");
        let Some(every) = self.every else { return std::future::pending().await };
        loop {
            self.tell("WATCHDOG=1");
            tokio::time::sleep(every).await;
        }
    }

    pub(super) fn tell(&self, state: &str) {
        let sent = UnixDatagram::unbound().and_then(|from| from.send_to(state.as_bytes(), &self.socket));
        if let Err(error) = sent {
            tracing::warn!(%error, state, "systemd cannot be told: NOTIFY_SOCKET is {}", self.socket.display());
        }
    }
}
