//! `docs/operations.md` as a stranger follows it: every command of its console blocks is run as it stands there, against a
//! real PostgreSQL. What only root may do to a machine (users, systemd, the folders of the system) is done to a folder.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::console::{Step, blocks, compare};
use crate::support::{Postgres, Shell, tools};

/// So many commands stand there at least.
const AT_LEAST: usize = 30;

/// As much of systemd as the page needs: the unit's environment and command, and to wait until it is ready.
const SYSTEMCTL: &str = r#"#!/usr/bin/env bash
set -euo pipefail
unit=/etc/systemd/system/symbolon.service
answers() { curl --silent --fail "http://localhost:9090/$1" >/dev/null; }
case "$*" in
    daemon-reload) exit ;;
    "enable --now symbolon") ;;
    "restart symbolon") kill "$(cat ROOT/pid)"; while answers livez; do sleep 0.05; done ;;
    *) echo "systemctl $* is not known here" >&2; exit 1 ;;
esac
credentials=$(sed -n 's/^LoadCredential=master-keys:\(.*\)\/master-keys$/\1/p' "$unit")
while read -r assignment; do
    export "$assignment"
done < <(sed -n "s|%d|$credentials|; s|%S/|/var/lib/|; s/^Environment=//p" "$unit")
export SYMBOLON_OPS_LISTEN=127.0.0.1:9090
$(sed -n 's/^ExecStart=//p' "$unit") </dev/null >>ROOT/log 2>&1 &
echo $! >ROOT/pid
for _ in $(seq 200); do answers readyz && exit; sleep 0.05; done
cat ROOT/log >&2
exit 1
"#;

/// There is no group `symbolon` here, and a key that is not root's is its owner's alone.
const INSTALL: &str = r#"#!/usr/bin/env bash
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        --group) shift ;;
        0640) [ "$(id -u)" = 0 ] && arguments+=(0640) || arguments+=(0600) ;;
        *) arguments+=("$1") ;;
    esac
    shift
done
PATH=/usr/bin:/bin exec install "${arguments[@]}"
"#;

const NOTHING: &str = "#!/bin/sh\n";
const RUNUSER: &str = "#!/bin/sh\nshift 3\nexec \"$@\"\n";

/// What is another here than on the page, in commands and files.
struct Machine {
    replaced: Vec<(String, String)>,
}

impl Machine {
    fn new(root: &Path, postgres: &Postgres) -> Self {
        let free = ["50051", "9090"].map(|named| (named, TcpListener::bind("127.0.0.1:0").unwrap()));
        let mut replaced =
            free.map(|(named, held)| (named.to_owned(), held.local_addr().unwrap().port().to_string())).to_vec();
        for folder in ["/etc/", "/usr/local/", "/var/lib/"] {
            replaced.push((folder.to_owned(), format!("{}{folder}", root.display())));
        }
        replaced.push(("@localhost/".to_owned(), format!("@127.0.0.1:{}/", postgres.port())));
        replaced.push(("0.0.0.0".to_owned(), "127.0.0.1".to_owned()));
        replaced.push(("ROOT".to_owned(), root.display().to_string()));
        Self { replaced }
    }

    fn here(&self, text: &str) -> String {
        self.replaced.iter().fold(text.to_owned(), |text, (named, here)| text.replace(named, here))
    }

    /// The programs the page calls, in `bin`.
    fn equip(&self, bin: &Path) {
        std::fs::create_dir_all(bin).unwrap();
        for (name, text) in [
            ("systemctl", SYSTEMCTL),
            ("install", INSTALL),
            ("runuser", RUNUSER),
            ("useradd", NOTHING),
            ("chgrp", NOTHING),
        ] {
            std::fs::write(bin.join(name), self.here(text)).unwrap();
            std::fs::set_permissions(bin.join(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        symlink(tools().join("python/bin/grpcurl"), bin.join("grpcurl")).unwrap();
        symlink(Postgres::bin().join("psql"), bin.join("psql")).unwrap();
    }

    /// The archive, with what the page takes out of it.
    fn pack(&self, into: &Path) {
        let name = "symbolon-0.1.0-x86_64-unknown-linux-gnu";
        let folder = into.join(name);
        for part in ["man", "completions"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        let program = env!("CARGO_BIN_EXE_symbolon");
        symlink(program, folder.join("symbolon")).unwrap();
        assert!(Command::new(program).arg("man").arg(folder.join("man")).status().unwrap().success());
        let completions = Command::new(program).args(["completions", "bash"]).output().unwrap();
        std::fs::write(folder.join("completions/symbolon.bash"), completions.stdout).unwrap();
        let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/symbolon.service");
        let unit = self.here(&std::fs::read_to_string(unit).unwrap());
        std::fs::write(folder.join("symbolon.service"), unit).unwrap();
        let pack =
            format!("tar czf {name}.tar.gz {name} && rm -r {name} && sha256sum {name}.tar.gz > {name}.tar.gz.sha256");
        assert!(Command::new("sh").args(["-c", &pack]).current_dir(into).status().unwrap().success());
    }
}

/// R-OPS-08
#[tokio::test]
async fn a_stranger_who_follows_the_page_has_a_service_that_serves() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let [dir, root] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let postgres = Postgres::start();
    let machine = Machine::new(root.path(), &postgres);
    let bin = root.path().join("bin");
    machine.equip(&bin);
    machine.pack(dir.path());
    let mut shell = Shell::start(dir.path(), &bin);
    let path = format!("export PATH={}/usr/local/bin:$PATH PGHOST=127.0.0.1 PGUSER=postgres", root.path().display());
    shell.run(&format!("{path} PGPORT={}", postgres.port())).await.unwrap();

    let mut ran = 0;
    for Step { line, command, expected } in blocks(&page).iter().flat_map(|block| &block.steps) {
        let command = machine.here(command);
        let failed = |failure| format!("docs/operations.md line {line}: {command}\n{failure}");
        let printed = shell.run(&command).await.map_err(failed).unwrap();
        compare(expected, &printed).map_err(failed).unwrap();
        ran += 1;
    }
    assert!(ran >= AT_LEAST, "only {ran} commands ran");

    // The role of the service reads and writes rows, and changes nothing else.
    let refused = "PGUSER=symbolon psql --quiet --dbname symbolon --command 'DROP TABLE sessions'";
    let said = shell.run(refused).await.unwrap();
    assert!(said.contains("must be owner"), "{said}");
}

/// Links and pictures of every page there is for people.
#[test]
fn what_pages_link_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git").args(["ls-files", "*.md"]).current_dir(root).output().unwrap();
    let mut seen = 0;
    for page in String::from_utf8(listed.stdout).unwrap().lines() {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let ends = [("](", &[')', '#'][..]), ("src=\"", &['"']), ("srcset=\"", &['"'])];
        let links =
            ends.iter().flat_map(|(begin, end)| text.split(begin).skip(1).filter_map(|rest| rest.split(*end).next()));
        for link in links.filter(|link| !link.is_empty() && !link.contains(':') && !link.contains(' ')) {
            seen += 1;
            assert!(root.join(page).parent().unwrap().join(link).exists(), "{page} names {link}, which is not there");
        }
    }
    assert!(seen > 100, "only {seen} links");
}
