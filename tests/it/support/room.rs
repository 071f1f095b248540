use std::path::Path;

use tokio::process::Command;

use super::Process;

/// Lets this process have as many files as it may.
pub(crate) async fn many_files() {
    let id = std::process::id().to_string();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let most = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let most = most.split_whitespace().rev().nth(1).unwrap();
    let raised = Command::new("prlimit").args(["--pid", &id, &format!("--nofile={most}:{most}")]).status().await;
    assert!(raised.unwrap().success());
}

impl Process {
    /// `dev`, with as many files as it may have.
    pub(crate) async fn with_many_files(dir: &Path, env: &[(&str, &str)]) -> Self {
        let wrapper = ["bash", "-c", "ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" \"$@\""];
        let mut command = Self::command_under(dir, &wrapper);
        Self::say_dev(&mut command);
        command.envs(env.iter().copied());
        Self::start(command).await
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }
}
