//! What `dev` changes of its configuration once it is read: by what it is told on the command line, and by the port it got.

use super::{Config, EdgeMode, client};

impl Config {
    /// Has browsers come to the edge by https where nothing else was asked for: public URL and issuer follow.
    pub fn edge_by_https(&mut self) {
        for url in self.edge.public_url.iter_mut().chain([&mut self.issuer]) {
            if let Some(rest) = url.strip_prefix("http://localhost:") {
                *url = format!("https://localhost:{rest}");
            }
        }
    }

    /// What `dev --bff` asks for: pages that see no token, behind a gateway at `localhost:8000`.
    pub fn behind_a_gateway(&mut self) {
        self.edge.mode = EdgeMode::Bff;
        // In `dev` it is this machine's, unless somebody has said otherwise.
        if self.edge.public_url.as_deref().is_some_and(|url| url.starts_with("http://localhost:")) {
            self.edge.public_url = Some("http://localhost:8000".to_owned());
        }
        self.gateway.listen.get_or_insert_with(|| "localhost:8081".to_owned());
        self.gateway.login_url.get_or_insert_with(|| "/sign-in".to_owned());
        for client in self.declared.clients.values_mut() {
            client.rotation_when_due = true;
            client.leeway = client.leeway.min(client::LEEWAY_WHEN_DUE);
        }
    }

    /// Puts the port the edge got where `dev` asked for a free one: its public URL and the issuer follow the listener.
    pub fn edge_bound_to(&mut self, port: u16) {
        for url in self.edge.public_url.iter_mut().chain([&mut self.issuer]) {
            if url == "http://localhost:0" {
                *url = format!("http://localhost:{port}");
            }
        }
    }
}
