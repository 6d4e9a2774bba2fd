//! Receivers written in JavaScript, as a child process: what Node makes of a body.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;

/// Answers each line, a body, with a line of JSON.
const PROGRAM: &str = r#"
const { createHmac } = require("node:crypto");
const sign = (hash, text) => createHmac(hash, process.argv[1]).update(text, "utf8").digest("hex");
let rest = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (chunk) => {
  rest += chunk;
  for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
    const again = JSON.stringify(JSON.parse(rest.slice(0, end)));
    rest = rest.slice(end + 1);
    process.stdout.write(JSON.stringify({ again, v1: sign("sha1", again), v2: sign("sha256", again) }) + "\n");
  }
});
"#;

/// A running Node.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What a receiver of the second school computes.
#[derive(Debug, Deserialize)]
pub(crate) struct Reading {
    /// `JSON.stringify(JSON.parse(body))`.
    pub(crate) again: String,
    /// HMAC-SHA1 over it.
    pub(crate) v1: String,
    /// HMAC-SHA256 over it.
    pub(crate) v2: String,
}

impl Node {
    /// With the key of the signatures.
    pub(crate) fn start(secret: &str) -> Self {
        let mut child = Command::new("node")
            .args(["-e", PROGRAM, secret])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node must be installed for this test");
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// Reads a body; it holds no line feed, because a canonical one has no blanks.
    pub(crate) fn read(&mut self, body: &str) -> Reading {
        assert!(!body.contains('\n'), "a canonical body is one line");
        writeln!(self.input, "{body}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("node could not parse the body")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
