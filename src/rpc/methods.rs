//! Every method that is served, and what a caller needs to call it: read from the contract for our own packages, and
//! from one table for those of others. A path that does not stand here reaches nobody.

use std::collections::HashMap;
use std::sync::Arc;

use prost_reflect::{DescriptorPool, MethodDescriptor, Value};
use thiserror::Error;

use crate::pb;
use crate::pb::auth::Permission as Declared;
use crate::service::caller::Permission;

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing, not even to be known.
    Nothing,
    /// To be a declared caller.
    Declared,
    Permission(Permission),
}

/// One served method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Without its service, as metrics and audit events name it.
    pub name: &'static str,
    /// With its package and service, `package.Service/Method`, as OpenTelemetry names it.
    pub full: &'static str,
    pub needs: Needs,
}

/// The served methods by their path, `/package.Service/Method`. Read once a process, and shared.
#[derive(Clone, Debug)]
pub struct Methods(Arc<HashMap<String, Method>>);

/// A method of ours that does not say what it needs.
#[derive(Debug, Error)]
#[error("{0} has no permission in the contract")]
pub struct Unprotected(String);

/// Our own packages that are served here.
const PACKAGES: [&str; 1] = ["symbolon.auth.v1"];

/// The option that says what a method needs.
const OPTION: &str = "symbolon.auth.v1.permission";

/// What is served of others: probes ask for health before they could know a secret, and a description of the API is for
/// its callers.
const FOREIGN: [(&str, &str, Needs); 4] = [
    ("grpc.health.v1.Health", "Check", Needs::Nothing),
    ("grpc.health.v1.Health", "Watch", Needs::Nothing),
    ("grpc.reflection.v1.ServerReflection", "ServerReflectionInfo", Needs::Declared),
    ("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo", Needs::Declared),
];

impl Methods {
    /// The methods of this program.
    ///
    /// # Errors
    /// If one of ours says not what it needs: nothing may be served then.
    pub fn of_the_contract() -> Result<Self, Unprotected> {
        Self::read(pb::FILE_DESCRIPTOR_SET)
    }

    fn read(descriptor_set: &[u8]) -> Result<Self, Unprotected> {
        let contract =
            DescriptorPool::decode(descriptor_set).expect("cannot fail: the descriptors were built with this program");
        let mut methods: HashMap<String, Method> = FOREIGN
            .into_iter()
            .map(|(service, name, needs)| {
                (format!("/{service}/{name}"), Method { name, full: full(service, name), needs })
            })
            .collect();
        let services = contract.services().filter(|service| PACKAGES.contains(&service.package_name()));
        for method in services.flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let needs = needs(&contract, &method).ok_or_else(|| Unprotected(method.full_name().to_owned()))?;
            // Once a process, so that labels and events need no copy.
            let name = Box::leak(method.name().to_owned().into_boxed_str());
            let full = full(method.parent_service().full_name(), name);
            methods.insert(path, Method { name, full, needs });
        }
        Ok(Self(Arc::new(methods)))
    }

    /// The method of exactly this path. Whatever is spelled otherwise is none (CVE-2026-33186).
    #[must_use]
    pub fn at(&self, path: &str) -> Option<Method> {
        self.0.get(path).copied()
    }

    /// Every one with its path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Method)> {
        self.0.iter().map(|(path, method)| (path.as_str(), *method))
    }
}

fn full(service: &str, name: &str) -> &'static str {
    Box::leak(format!("{service}/{name}").into_boxed_str())
}

fn needs(contract: &DescriptorPool, method: &MethodDescriptor) -> Option<Needs> {
    let option = contract.get_extension_by_name(OPTION)?;
    let options = method.options();
    if !options.has_extension(&option) {
        return None;
    }
    let Value::EnumNumber(number) = *options.get_extension(&option) else { return None };
    let permission = match Declared::try_from(number).ok()? {
        Declared::Unspecified => return None,
        Declared::Declared => return Some(Needs::Declared),
        Declared::Issue => Permission::Issue,
        Declared::Refresh => Permission::Refresh,
        Declared::Revoke => Permission::Revoke,
        Declared::Introspect => Permission::Introspect,
        Declared::List => Permission::List,
        Declared::Update => Permission::Update,
        Declared::Watch => Permission::Watch,
        Declared::Keys => Permission::Keys,
        Declared::Erase => Permission::Erase,
    };
    Some(Needs::Permission(permission))
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_reflect::prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn a_method_without_a_permission_lets_nothing_start() {
        assert!(Methods::of_the_contract().is_ok());
        // Decoded without knowledge of extensions, all options are lost.
        let stripped = FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
        let refused = Methods::read(&stripped.encode_to_vec()).unwrap_err();
        assert!(refused.to_string().starts_with("symbolon.auth.v1.AuthService."), "{refused}");
    }

    #[test]
    fn only_the_exact_path_is_a_method() {
        let methods = Methods::of_the_contract().unwrap();
        let path = "/symbolon.auth.v1.AuthService/IssueTokens";
        assert_eq!(methods.at(path).unwrap().needs, Needs::Permission(Permission::Issue));
        for odd in [
            &path[1..],
            "//symbolon.auth.v1.AuthService/IssueTokens",
            "/symbolon.auth.v1.AuthService//IssueTokens",
            "/symbolon.auth.v1.AuthService/IssueTokens/",
            "/symbolon.auth.v1.AuthService/issuetokens",
            "/symbolon.auth.v1.AuthService/Issue%54okens",
            "/symbolon.auth.v1.authservice/IssueTokens",
            "/x/../symbolon.auth.v1.AuthService/IssueTokens",
            "/",
            "",
        ] {
            assert_eq!(methods.at(odd), None, "{odd}");
        }
    }
}
