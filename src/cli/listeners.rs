//! Where the process is reached: everything is bound before anything is started.

use std::io;

use tokio::net::TcpListener;

use super::Failure;
use super::listen::{Reach, listen, port};
use super::tls::ServedTls;
use crate::config::Config;

/// Where the process is reached.
pub struct Listeners {
    pub grpc: Vec<TcpListener>,
    pub ops: Vec<TcpListener>,
    /// Of gRPC.
    pub tls: Option<ServedTls>,
    /// None: no edge.
    pub edge: Vec<TcpListener>,
    /// Of the exchange. None: off.
    pub gateway: Vec<TcpListener>,
}

impl Listeners {
    /// Binds what the configuration asks for, gRPC within its reach.
    pub async fn bind(config: &Config, grpc: Reach) -> Result<Self, Failure> {
        Ok(Self {
            grpc: listen(&config.grpc.listen, "SYMBOLON_GRPC_LISTEN", grpc).await?,
            tls: config.grpc.tls.as_ref().map(ServedTls::read).transpose()?,
            ..Self::bind_edge(config).await?
        })
    }

    /// Binds what an edge alone needs.
    pub(super) async fn bind_edge(config: &Config) -> Result<Self, Failure> {
        let edge = match &config.edge.listen {
            // How far it may be reached depends on its URL, which may follow from the port.
            Some(address) => listen(address, "SYMBOLON_EDGE_LISTEN", Reach::Anywhere).await?,
            None => Vec::new(),
        };
        let gateway = match &config.gateway.listen {
            Some(address) => listen(address, "SYMBOLON_GATEWAY_LISTEN", beside_the_gateway()).await?,
            None => Vec::new(),
        };
        let ops = listen(&config.ops.listen, "SYMBOLON_OPS_LISTEN", Reach::Anywhere).await?;
        Ok(Self { grpc: Vec::new(), tls: None, ops, edge, gateway })
    }

    pub fn grpc_port(&self) -> io::Result<u16> {
        port(&self.grpc)
    }

    pub fn ops_port(&self) -> io::Result<u16> {
        port(&self.ops)
    }

    /// `None` without an exchange.
    pub fn gateway_port(&self) -> io::Result<Option<u16>> {
        Ok(Some(port(&self.gateway)?).filter(|port| *port != 0))
    }

    /// 0 without an edge.
    pub fn edge_port(&self) -> io::Result<u16> {
        port(&self.edge)
    }
}

/// Who reaches the exchange may have every token of whoever is signed in.
fn beside_the_gateway() -> Reach {
    Reach::Loopback { condition: "the exchange runs beside the gateway, an edge for each (`symbolon edge`)".to_owned() }
}
