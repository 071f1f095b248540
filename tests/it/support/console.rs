//! Reading the console blocks of a Markdown file, and holding what was printed against what they say.
//!
//! A block that opens with ```` ```console ```` is a talk with a shell: a line that begins with `$ ` is a command, lines
//! that begin with `> ` continue it, and what follows is what it prints. In there `…` stands for anything within a line,
//! and a line of only `…` for any number of lines.

use std::fmt::Write;

/// A fenced block of console talk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What stands behind `console` on the line that opens it.
    pub(crate) words: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

/// One command, and what it prints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Where it stands in the file, counted from 1.
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) expected: Vec<String>,
}

const ANYTHING: char = '…';

/// The console blocks of a text.
pub(crate) fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    // The fence that closes the block we are in, and whether it is one of ours.
    let mut inside: Option<(String, bool)> = None;
    for (number, line) in markdown.lines().enumerate() {
        let fence: String = line.chars().take_while(|letter| *letter == '`').collect();
        match &inside {
            None if fence.len() >= 3 => {
                let mut words = line[fence.len()..].split_whitespace().map(str::to_owned);
                let ours = words.next().is_some_and(|language| language == "console");
                if ours {
                    blocks.push(Block { words: words.collect(), steps: Vec::new() });
                }
                inside = Some((fence, ours));
            }
            Some((open, _)) if line.trim_end() == open => inside = None,
            Some((_, true)) => read(blocks.last_mut().unwrap(), number + 1, line),
            Some((_, false)) | None => {}
        }
    }
    assert!(inside.is_none(), "a block is not closed");
    blocks
}

fn read(block: &mut Block, number: usize, line: &str) {
    if let Some(command) = line.strip_prefix("$ ") {
        block.steps.push(Step { line: number, command: command.to_owned(), expected: Vec::new() });
        return;
    }
    let step = block.steps.last_mut().unwrap_or_else(|| panic!("line {number}: a block begins with a command"));
    match line.strip_prefix("> ") {
        Some(more) if step.expected.is_empty() => {
            step.command.push('\n');
            step.command.push_str(more);
        }
        _ => step.expected.push(line.to_owned()),
    }
}

/// Whether what was printed is what was expected; if not, the two, with the first line that differs marked.
pub(crate) fn compare(expected: &[String], printed: &str) -> Result<(), String> {
    let printed: Vec<&str> = printed.lines().collect();
    let printed = &printed[..printed.len() - printed.iter().rev().take_while(|line| line.trim().is_empty()).count()];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let blank = expected.iter().rev().take_while(|line| line.trim().is_empty()).count();
    let expected = &expected[..expected.len() - blank];
    let mut furthest = (0, 0);
    if lines_fit(expected, printed, (0, 0), &mut furthest) {
        return Ok(());
    }
    let mut told = String::new();
    for (title, lines, differs) in [("expected", expected, furthest.0), ("printed", printed, furthest.1)] {
        let _ = writeln!(told, "{title}:");
        for (at, line) in lines.iter().enumerate() {
            let _ = writeln!(told, "  {} {line}", if at == differs { ">" } else { " " });
        }
        if differs >= lines.len() {
            let _ = writeln!(told, "  > (nothing more)");
        }
    }
    Err(told)
}

fn lines_fit(expected: &[&str], printed: &[&str], at: (usize, usize), furthest: &mut (usize, usize)) -> bool {
    *furthest = (*furthest).max(at);
    let (e, p) = at;
    match expected.get(e) {
        None => p == printed.len(),
        Some(line) if line.trim() == ANYTHING.to_string() => {
            (p..=printed.len()).any(|from| lines_fit(expected, printed, (e + 1, from), furthest))
        }
        Some(line) => {
            printed.get(p).is_some_and(|is| line_fits(line, is))
                && lines_fit(expected, printed, (e + 1, p + 1), furthest)
        }
    }
}

fn line_fits(expected: &str, printed: &str) -> bool {
    let (expected, mut rest) = (expected.trim_end(), printed.trim_end());
    let parts: Vec<_> = expected.split(ANYTHING).collect();
    let [first, middle @ .., last] = parts.as_slice() else { return expected == rest };
    let Some(behind) = rest.strip_prefix(first) else { return false };
    rest = behind;
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
