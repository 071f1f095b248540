//! The manifests of `deploy/kubernetes/`: good by Kubernetes' own schemas, and of one mind with each other and with the
//! program.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Authority, MASTER_KEY, tools};

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn resources() -> Vec<Value> {
    let texts = files().into_iter().map(|file| std::fs::read_to_string(file).unwrap());
    texts.flat_map(|text| serde_saphyr::from_multiple::<Value>(&text).unwrap()).collect()
}

/// The resource of this kind and name.
fn resource(kind: &str, name: &str) -> Value {
    let found = resources().into_iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// What the schemas say of a file.
fn validated(file: &Path) -> (bool, String) {
    let mut validate = Command::new(tools().join("python/bin/kubernetes-validate"));
    let told = validate.arg("--strict").arg(file).output().unwrap();
    (told.status.success(), [told.stdout, told.stderr].map(|said| String::from_utf8(said).unwrap()).concat())
}

/// R-OPS-08
#[test]
fn the_manifests_are_what_the_schemas_of_kubernetes_ask_for() {
    for file in files() {
        let (good, said) = validated(&file);
        assert!(good && said.contains("passed for resource"), "{}: {said}", file.display());
    }
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken.yaml");
    let text = std::fs::read_to_string(&files()[2]).unwrap();
    std::fs::write(&broken, text.replace("readOnlyRootFilesystem", "readOnlyRoot")).unwrap();
    assert!(!validated(&broken).0);
}

#[test]
fn no_secret_is_an_argument() {
    for file in files() {
        assert!(!std::fs::read_to_string(&file).unwrap().contains("--from-literal"), "{}", file.display());
    }
}

#[test]
fn what_they_name_is_there_and_of_this_version() {
    let deployment = resource("Deployment", "symbolon");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(container["image"], format!("symbolon:{version}"));
    let job = resource("Job", &format!("symbolon-migrate-{version}"));
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["image"], container["image"]);

    let named = |ports: &Value| -> Vec<String> {
        ports.as_array().unwrap().iter().map(|port| port["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(named(&container["ports"]), ["grpc", "ops"]);
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/livez")] {
        let asked = &container[probe]["httpGet"];
        assert_eq!((asked["path"].as_str(), asked["port"].as_str()), (Some(path), Some("ops")));
    }
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    for service in ["symbolon", "symbolon-balanced"] {
        let service = resource("Service", service);
        assert_eq!((&service["spec"]["selector"], named(&service["spec"]["ports"])), (labels, vec!["grpc".to_owned()]));
    }
    assert_eq!(&resource("PodDisruptionBudget", "symbolon")["spec"]["selector"]["matchLabels"], labels);

    // It is killed only when it has had the time to be forgotten by those who call it, and to let their calls end.
    let seconds = |value: &Value| value.as_u64().unwrap();
    let away = seconds(&container["lifecycle"]["preStop"]["sleep"]["seconds"]);
    assert!(seconds(&pod["terminationGracePeriodSeconds"]) > away + 10);
}

/// R-OPS-08
#[test]
fn nobody_in_a_pod_is_root_or_writes() {
    let deployment = resource("Deployment", "symbolon");
    let job = resource("Job", &format!("symbolon-migrate-{}", env!("CARGO_PKG_VERSION")));
    for resource in [deployment, job] {
        let pod = &resource["spec"]["template"]["spec"];
        let all = &pod["securityContext"];
        assert_eq!((&all["runAsNonRoot"], &all["runAsUser"]), (&Value::from(true), &Value::from(65532)));
        assert_eq!(all["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!((&pod["automountServiceAccountToken"], &pod["enableServiceLinks"]), (&false.into(), &false.into()));
        let own = &pod["containers"][0]["securityContext"];
        assert_eq!((&own["readOnlyRootFilesystem"], &own["allowPrivilegeEscalation"]), (&true.into(), &false.into()));
        assert_eq!(own["capabilities"]["drop"][0], "ALL");
    }
}

/// The program reads the `ConfigMap` where the Deployment mounts it, with secrets in the places of the Secrets.
#[test]
fn the_configuration_is_good_where_it_is_mounted() {
    let dir = tempfile::tempdir().unwrap();
    let [config, keys, tls] = ["config", "keys", "tls"].map(|name| {
        let mounts =
            resource("Deployment", "symbolon")["spec"]["template"]["spec"]["containers"][0]["volumeMounts"].clone();
        let mount = mounts.as_array().unwrap().iter().find(|mount| mount["name"] == name).unwrap().clone();
        let path = dir.path().join(mount["mountPath"].as_str().unwrap().trim_start_matches('/'));
        std::fs::create_dir_all(&path).unwrap();
        path
    });
    for (name, text) in resource("ConfigMap", "symbolon")["data"].as_object().unwrap() {
        let text = text.as_str().unwrap().replace("\"/etc/", &format!("\"{}/etc/", dir.path().display()));
        std::fs::write(config.join(name), text).unwrap();
    }
    std::fs::write(keys.join("master-keys"), MASTER_KEY).unwrap();
    let [chain, _] = Authority::new().server().write(&tls, "tls");
    std::fs::rename(chain, tls.join("tls.crt")).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_symbolon"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SYMBOLON_")) {
        check.env_remove(name);
    }
    check.env("SYMBOLON_DATABASE_URL", "postgres://symbolon@postgres/symbolon");
    let checked = check.args(["config", "check", "--config"]).arg(config.join("symbolon.toml")).output().unwrap();
    let said = [checked.stdout, checked.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert_eq!(said, "the configuration is good\n");
}
