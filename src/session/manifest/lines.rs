//! JSON for people and programs: the members of the document, and of what they hold, each on a line of its own; what lies deeper
//! stays on its line. A list of a hundred thousand objects can be read, and costs no blanks.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// How deep lines are broken.
const DEPTH: usize = 2;

/// The text.
pub(super) fn render(document: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut text = Vec::new();
    document.serialize(&mut Serializer::with_formatter(&mut text, Lines::default()))?;
    Ok(String::from_utf8(text).expect("serde_json writes UTF-8"))
}

#[derive(Default)]
struct Lines {
    depth: usize,
    /// Whether something stands in the innermost list or object.
    filled: bool,
}

impl Lines {
    fn open(&mut self, out: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        out.write_all(bracket)
    }

    fn next(&self, out: &mut (impl Write + ?Sized), first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        self.indent(out)
    }

    fn close(&mut self, out: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        let broken = self.filled && self.depth <= DEPTH;
        self.depth -= 1;
        self.filled = true;
        if broken {
            out.write_all(b"\n")?;
            (0..self.depth).try_for_each(|_| out.write_all(b" "))?;
        }
        out.write_all(bracket)
    }

    fn indent(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        if self.depth > DEPTH {
            return Ok(());
        }
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b" "))
    }
}

impl Formatter for Lines {
    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn two_levels_are_broken_into_lines_and_deeper_ones_are_not() {
        let document = json!({"a": 1, "b": [{"x": [1, 2]}, {"y": {}}], "c": [], "d": {"e": {"f": [1]}}});
        let text = render(&document).unwrap();
        let lines = [
            "{",
            " \"a\":1,",
            " \"b\":[",
            "  {\"x\":[1,2]},",
            "  {\"y\":{}}",
            " ],",
            " \"c\":[],",
            " \"d\":{",
            "  \"e\":{\"f\":[1]}",
            " }",
            "}",
        ];
        assert_eq!(text, lines.join("\n"));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }
}
