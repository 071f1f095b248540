use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long one command may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// One shell for all commands: what one of them assigns, the next ones know.
pub(crate) struct Shell {
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    process: Child,
}

/// What a command left in the background ends with the shell.
impl Drop for Shell {
    fn drop(&mut self) {
        let group = self.process.id().map(|id| format!("-{id}"));
        group.map(|group| std::process::Command::new("kill").args(["--", &group]).status());
    }
}

const END: &str = "--- the command ended with";

impl Shell {
    pub(crate) fn start(dir: &Path, bin: &Path) -> Self {
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SYMBOLON_") {
                command.env_remove(name);
            }
        }
        let path = std::env::var("PATH").unwrap();
        command.args(["--noprofile", "--norc"]).env("PATH", format!("{}:{path}", bin.display())).current_dir(dir);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).process_group(0);
        let mut process = command.spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { stdin: process.stdin.take().unwrap(), stdout, process }
    }

    /// Runs a command. Answers what it printed, errors too, in the order it was printed.
    pub(crate) async fn run(&mut self, command: &str) -> Result<String, String> {
        // The end stands on a line of its own, also behind output that does not end with one.
        let script = format!("{{ {command}\n}} </dev/null 2>&1; printf '\\n{END} %s\\n' \"$?\"\n");
        self.stdin.write_all(script.as_bytes()).await.unwrap();
        let mut printed = String::new();
        let read = async {
            while let Some(line) = self.stdout.next_line().await.unwrap() {
                if line.starts_with(END) {
                    return true;
                }
                printed.push_str(&line);
                printed.push('\n');
            }
            false
        };
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(true) => Ok(printed),
            Ok(false) => Err(format!("{command}\nended the shell:\n{printed}")),
            Err(_) => Err(format!("{command}\ndid not end in {PATIENCE:?}:\n{printed}")),
        }
    }
}
