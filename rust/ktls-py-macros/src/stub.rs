//! Reads a Python stub (`.pyi`): its docstrings and its parameter lists.
//!
//! It understands stubs in the format of ruff, as far as a compiled module needs it: classes,
//! methods, properties, functions and the fields of named tuples. Types are skipped.

use std::collections::HashMap;

/// The names of a stub: `Class`, `Class.method`, `function`, and `` for the module.
#[derive(Debug, Default)]
pub(crate) struct Stub(HashMap<String, StubItem>);

/// A class, a function or a field of a named tuple.
#[derive(Clone, Debug, Default)]
pub(crate) struct StubItem {
    /// The docstring without its indentation; empty if there is none.
    pub(crate) doc: String,
    /// The parameters of a function, without `self` and `cls`.
    pub(crate) parameters: Vec<Parameter>,
    /// The first parameter of a method; static methods and functions have none.
    pub(crate) receiver: Option<Receiver>,
    /// The fields of a named tuple, in order.
    pub(crate) fields: Vec<String>,
}

/// What a method is called on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Receiver {
    /// `self`
    Instance,
    /// `cls`
    Class,
}

/// One parameter, or one of the markers `*` and `/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// The default value as Python text.
    pub(crate) default: Option<String>,
}

impl Stub {
    /// Parses the text of a stub.
    pub(crate) fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let mut stub = Self::default();
        let (doc, mut at) = docstring(&lines, 0, 0);
        stub.add(
            String::new(),
            StubItem {
                doc,
                ..StubItem::default()
            },
        );
        let mut class = String::new();
        while at < lines.len() {
            let line = lines[at];
            if let Some(name) = line.strip_prefix("class ") {
                class = identifier(name).to_owned();
                let (doc, next) = docstring(&lines, at + 1, 4);
                stub.add(
                    class.clone(),
                    StubItem {
                        doc,
                        ..StubItem::default()
                    },
                );
                at = next;
            } else if let Some(name) = line.strip_prefix("    def ") {
                at = stub.add_function(&format!("{class}.{}", identifier(name)), &lines, at);
            } else if let Some(name) = line.strip_prefix("def ") {
                at = stub.add_function(identifier(name), &lines, at);
            } else {
                at = stub.add_field(&class, &lines, at);
            }
        }
        stub
    }

    /// Returns what the stub has for a name.
    pub(crate) fn get(&self, name: &str) -> Option<&StubItem> {
        self.0.get(name)
    }

    /// Adds an item. Of several overloads the first one counts.
    fn add(&mut self, name: String, item: StubItem) {
        self.0.entry(name).or_insert(item);
    }

    /// Adds the function whose `def` is in line `at`; returns the line after it.
    fn add_function(&mut self, name: &str, lines: &[&str], at: usize) -> usize {
        let (list, end) = parameter_list(lines, at);
        let indent = lines[at].len() - lines[at].trim_start().len() + 4;
        let (doc, next) = docstring(lines, end + 1, indent);
        let mut parameters: Vec<_> = split(&list).iter().map(|text| parameter(text)).collect();
        let receiver = match parameters.first().map(|first| &*first.name) {
            Some("self") => Some(Receiver::Instance),
            Some("cls") => Some(Receiver::Class),
            _ => None,
        };
        parameters.drain(..receiver.iter().len());
        self.add(
            name.to_owned(),
            StubItem {
                doc,
                parameters,
                receiver,
                ..StubItem::default()
            },
        );
        next
    }

    /// Adds a field of a class, such as `    side: int`; returns the line after it.
    fn add_field(&mut self, class: &str, lines: &[&str], at: usize) -> usize {
        let line = lines[at];
        let Some((name, _)) = line.trim_start().split_once(": ") else {
            return at + 1;
        };
        if !line.starts_with("    ") || line.starts_with("     ") || identifier(name) != name {
            return at + 1;
        }
        let (doc, next) = docstring(lines, at + 1, 4);
        if let Some(class) = self.0.get_mut(class) {
            class.fields.push(name.to_owned());
        }
        self.add(
            format!("{class}.{name}"),
            StubItem {
                doc,
                ..StubItem::default()
            },
        );
        next
    }
}

/// Returns the docstring that begins in line `at`, and the line after it; an empty one if none
/// does.
fn docstring(lines: &[&str], at: usize, indent: usize) -> (String, usize) {
    let quotes = "\"\"\"";
    let Some(first) = lines
        .get(at)
        .and_then(|line| line.trim_start().strip_prefix(quotes))
    else {
        return (String::new(), at);
    };
    if let Some(whole) = first.strip_suffix(quotes) {
        return (whole.to_owned(), at + 1);
    }
    let mut doc = vec![first];
    for (number, line) in lines.iter().enumerate().skip(at + 1) {
        let line = line.get(indent..).unwrap_or_default();
        if let Some(last) = line.strip_suffix(quotes) {
            doc.push(last);
            return (doc.join("\n").trim_end().to_owned(), number + 1);
        }
        doc.push(line);
    }
    (doc.join("\n"), lines.len())
}

/// Returns the text between the parentheses of the `def` in line `at`, and the line where its
/// signature ends with a colon.
fn parameter_list(lines: &[&str], at: usize) -> (String, usize) {
    let (mut list, mut depth, mut closed) = (String::new(), 0, false);
    for (number, line) in lines.iter().enumerate().skip(at) {
        for letter in line.chars() {
            depth -= i32::from(matches!(letter, ')' | ']'));
            closed |= depth == 0 && letter == ')';
            if closed && depth == 0 && letter == ':' {
                return (list, number);
            }
            if !closed && depth > 0 {
                list.push(letter);
            }
            depth += i32::from(matches!(letter, '(' | '['));
        }
    }
    (list, lines.len())
}

/// Splits a list at the commas that are in no brackets.
fn split(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, letter) in list.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn parameter(text: &str) -> Parameter {
    let (head, default) = match text.split_once('=') {
        Some((head, default)) => (head, Some(default.trim().to_owned())),
        None => (text, None),
    };
    let name = head.split(':').next().unwrap_or_default().trim();
    Parameter {
        name: name.to_owned(),
        default,
    }
}

/// The identifier at the start of a text.
fn identifier(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUB: &str = r#""""The module.

More.
"""

from x import y

@final
class Sealer:
    """Seals.

        indented
    """

    def __new__(cls, info: A | B, *, limit: int | None = None) -> Self:
        """Create."""
    @property
    def rec_seq(self) -> int:
        """The number."""

    def seal(
        self,
        data: tuple[A, B],
        kind: Literal["a", "b"] = "a",
        pair: tuple[int, float] = (32, 1.0),
        /,
    ) -> bytes:
        """Seal
        two lines."""

    @staticmethod
    def bare(x: int) -> None: ...

class Found(NamedTuple):
    """A tuple."""

    record: int
    """The index."""
    fault: str | None

@overload
def stat(*, format: Literal["dict"] = "dict") -> dict[str, int]:
    """Stat."""
@overload
def stat(*, format: Literal["proc"]) -> str: ...
def long() -> tuple[
    str,
    dict[str, int],
]:
    """Long."""

def last() -> None:
    """Last."""
"#;

    fn names(item: &StubItem) -> Vec<String> {
        let text = |p: &Parameter| match &p.default {
            Some(default) => format!("{}={default}", p.name),
            None => p.name.clone(),
        };
        item.parameters.iter().map(text).collect()
    }

    #[test]
    fn docstrings_lose_their_quotes_and_indentation() {
        let stub = Stub::parse(STUB);
        let doc = |name| stub.get(name).expect(name).doc.clone();
        assert_eq!(doc(""), "The module.\n\nMore.");
        assert_eq!(doc("Sealer"), "Seals.\n\n    indented");
        assert_eq!(doc("Sealer.__new__"), "Create.");
        assert_eq!(doc("Sealer.rec_seq"), "The number.");
        assert_eq!(doc("Sealer.seal"), "Seal\ntwo lines.");
        assert_eq!(doc("Sealer.bare"), "");
        assert_eq!(doc("long"), "Long.");
        assert_eq!(doc("last"), "Last.");
    }

    #[test]
    fn parameters_have_names_and_defaults_but_no_types() {
        let stub = Stub::parse(STUB);
        let of = |name| names(stub.get(name).expect(name));
        assert_eq!(of("Sealer.__new__"), ["info", "*", "limit=None"]);
        assert_eq!(
            of("Sealer.seal"),
            ["data", "kind=\"a\"", "pair=(32, 1.0)", "/"]
        );
        assert_eq!(of("Sealer.bare"), ["x"]);
        assert_eq!(stub.get("Sealer.bare").expect("is there").receiver, None);
        let receiver = |name| stub.get(name).expect(name).receiver;
        assert_eq!(receiver("Sealer.seal"), Some(Receiver::Instance));
        assert_eq!(receiver("Sealer.__new__"), Some(Receiver::Class));
    }

    #[test]
    fn the_first_overload_is_used() {
        let stub = Stub::parse(STUB);
        let stat = stub.get("stat").expect("is there");
        assert_eq!(stat.doc, "Stat.");
        assert_eq!(names(stat), ["*", "format=\"dict\""]);
    }

    #[test]
    fn fields_of_named_tuples_keep_their_order() {
        let stub = Stub::parse(STUB);
        assert_eq!(
            stub.get("Found").expect("is there").fields,
            ["record", "fault"]
        );
        assert_eq!(
            stub.get("Found.record").expect("is there").doc,
            "The index."
        );
        assert_eq!(stub.get("Found.fault").expect("is there").doc, "");
    }
}
