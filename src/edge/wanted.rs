//! What a route behind a gateway needs of a token: audience, scope and `acr`, as the gateway's configuration says it.

use std::collections::BTreeSet;

use symbolon_verifier::Claims;

use crate::edge::Edge;

/// What the gateway says this route needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// One of these. None: one that a sign-in here asks for.
    audience: Vec<String>,
    /// All of these.
    scope: BTreeSet<String>,
    /// One of these.
    acr: Vec<String>,
}

impl Wanted {
    /// From a query. `None` for a name that is not known, or one without a value: a misspelt one, or a gateway's variable
    /// that is not set, would let everybody pass.
    pub(super) fn read(query: &str) -> Option<Self> {
        Self::from_pairs(form_urlencoded::parse(query.as_bytes()))
    }

    /// The same from names and values.
    pub(super) fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Option<Self> {
        let mut wanted = Self::default();
        for (name, value) in pairs {
            let value = value.as_ref();
            if value.trim().is_empty() {
                return None;
            }
            let words = value.split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
            match name.as_ref() {
                "audience" => wanted.audience.extend(words),
                "scope" => wanted.scope.extend(words),
                "acr" => wanted.acr.extend(words),
                _ => return None,
            }
        }
        Some(wanted)
    }

    /// Whether a token with these claims, which is good, is good for this.
    pub(super) fn is_met_by(&self, claims: &Claims, edge: &Edge) -> bool {
        let for_it = if self.audience.is_empty() {
            edge.is_for_us(claims)
        } else {
            claims.aud.iter().any(|audience| self.audience.contains(audience))
        };
        let held: BTreeSet<_> = claims.scope.iter().flat_map(|scope| scope.split(' ')).collect();
        let scope = self.scope.iter().all(|scope| held.contains(scope.as_str()));
        let acr = self.acr.is_empty() || claims.acr.as_ref().is_some_and(|acr| self.acr.contains(acr));
        for_it && scope && acr
    }
}
