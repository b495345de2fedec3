//! Follows the statements of one file.

use std::path::Path;

use tree_sitter::Node;

use super::{Definitions, Value};

/// Deeper nesting is not followed: the stack is ours, the file is not.
const MAX_DEPTH: usize = 100;

/// One file being followed.
pub(super) struct File<'a> {
    definitions: &'a mut Definitions,
    path: &'a Path,
    text: &'a str,
    /// Within a branch of which nobody knows whether it is taken.
    uncertain: bool,
    depth: usize,
}

impl<'a> File<'a> {
    pub(super) fn new(definitions: &'a mut Definitions, path: &'a Path, text: &'a str) -> Self {
        Self {
            definitions,
            path,
            text,
            uncertain: false,
            depth: 0,
        }
    }

    /// Follows the statements below `node` in order.
    pub(super) fn statements(&mut self, node: Node<'_>) {
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            self.statement(child);
        }
    }

    fn statement(&mut self, node: Node<'_>) {
        if self.depth >= MAX_DEPTH {
            return;
        }
        self.depth += 1;
        match node.kind() {
            "expression_statement" => {
                if let Some(expression) = node.named_child(0) {
                    self.expression(expression);
                }
            }
            "const_declaration" => self.constants(node),
            "if_statement" => self.branches(node),
            "compound_statement" | "colon_block" | "else_clause" => self.statements(node),
            // Defined, not run.
            "function_definition" | "class_declaration" | "comment" => {}
            // Loops, switches and the like: whatever they define is uncertain.
            _ => self.uncertainly(|file| file.statements(node)),
        }
        self.depth -= 1;
    }

    fn uncertainly(&mut self, follow: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.uncertain, true);
        follow(self);
        self.uncertain = before;
    }

    fn branches(&mut self, node: Node<'_>) {
        let mut truth = self.condition(node);
        let body = node.child_by_field_name("body");
        let mut cursor = node.walk();
        let others: Vec<_> = node
            .children_by_field_name("alternative", &mut cursor)
            .collect();
        self.branch(truth, body);
        for other in others {
            match truth {
                Some(true) => return,
                Some(false) if other.kind() == "else_if_clause" => {
                    truth = self.condition(other);
                    self.branch(truth, other.child_by_field_name("body"));
                }
                Some(false) => self.statements(other),
                None => self.uncertainly(|file| file.statements(other)),
            }
        }
    }

    fn condition(&mut self, node: Node<'_>) -> Option<bool> {
        let condition = node.child_by_field_name("condition")?;
        self.expression(condition).truth()
    }

    fn branch(&mut self, truth: Option<bool>, body: Option<Node<'_>>) {
        let Some(body) = body else { return };
        match truth {
            Some(true) => self.statement(body),
            Some(false) => {}
            None => self.uncertainly(|file| file.statement(body)),
        }
    }

    fn constants(&mut self, node: Node<'_>) {
        let mut cursor = node.walk();
        for element in node.named_children(&mut cursor) {
            if let (Some(name), Some(value)) = (element.named_child(0), element.named_child(1)) {
                let value = self.expression(value);
                self.define(self.text_of(name).to_owned(), value);
            }
        }
    }

    /// The first definition of a constant holds.
    fn define(&mut self, name: String, value: Value) {
        let value = self.certain(value);
        self.definitions.constants.entry(name).or_insert(value);
    }

    fn assign(&mut self, name: String, value: Value) {
        let value = self.certain(value);
        self.definitions.variables.insert(name, value);
    }

    fn certain(&self, value: Value) -> Value {
        if self.uncertain {
            Value::unknown("a condition on the request")
        } else {
            value
        }
    }

    fn text_of(&self, node: Node<'_>) -> &'a str {
        &self.text[node.byte_range()]
    }

    fn expression(&mut self, node: Node<'_>) -> Value {
        if self.depth >= MAX_DEPTH {
            return Value::unknown("a deeply nested expression");
        }
        self.depth += 1;
        let value = self.value(node);
        self.depth -= 1;
        value
    }

    fn value(&mut self, node: Node<'_>) -> Value {
        match node.kind() {
            "string" | "encapsed_string" | "heredoc" | "heredoc_body" | "nowdoc"
            | "nowdoc_body" => self.string(node),
            "integer" => self
                .text_of(node)
                .replace('_', "")
                .parse()
                .map_or_else(|_| Value::Str(self.text_of(node).to_owned()), Value::Int),
            "boolean" => Value::Bool(self.text_of(node).eq_ignore_ascii_case("true")),
            "null" => Value::Null,
            "name" | "qualified_name" => self.constant(self.text_of(node)),
            "variable_name" => self
                .definitions
                .variable(self.text_of(node).trim_start_matches('$'))
                .cloned()
                .unwrap_or_else(|| Value::unknown(format!("the variable {}", self.text_of(node)))),
            "parenthesized_expression" | "error_suppression_expression" | "argument" => {
                self.last_child(node)
            }
            "cast_expression" => self.child(node, "value"),
            "unary_op_expression" => self.unary(node),
            "binary_expression" => self.binary(node),
            "conditional_expression" => self.conditional(node),
            "assignment_expression" => self.assignment(node),
            "subscript_expression" => self.subscript(node),
            "function_call_expression" => self.call(node),
            "require_expression"
            | "require_once_expression"
            | "include_expression"
            | "include_once_expression" => self.include(node),
            kind => Value::unknown(format!("a PHP expression ({})", kind.replace('_', " "))),
        }
    }

    fn child(&mut self, node: Node<'_>, field: &str) -> Value {
        match node.child_by_field_name(field) {
            Some(child) => self.expression(child),
            None => Value::Null,
        }
    }

    fn last_child(&mut self, node: Node<'_>) -> Value {
        let last = u32::try_from(node.named_child_count().saturating_sub(1)).unwrap_or(0);
        match node.named_child(last) {
            Some(child) => self.expression(child),
            None => Value::Null,
        }
    }

    fn constant(&self, name: &str) -> Value {
        match name {
            "__FILE__" => return Value::Str(self.path.display().to_string()),
            "__DIR__" => return Value::Str(parent(&self.path.display().to_string())),
            "DIRECTORY_SEPARATOR" => return Value::Str("/".to_owned()),
            "PHP_EOL" => return Value::Str("\n".to_owned()),
            _ => {}
        }
        let name = name.trim_start_matches('\\');
        self.definitions
            .constant(name)
            .cloned()
            .unwrap_or_else(|| Value::unknown(format!("the constant {name}")))
    }

    /// The parts of a string literal, put together.
    fn string(&mut self, node: Node<'_>) -> Value {
        let doubles = matches!(node.kind(), "encapsed_string" | "heredoc" | "heredoc_body");
        let mut out = String::new();
        let mut cursor = node.walk();
        for part in node.named_children(&mut cursor) {
            match part.kind() {
                "string_content" | "nowdoc_string" => out.push_str(self.text_of(part)),
                "escape_sequence" => out.push_str(&unescape(self.text_of(part), doubles)),
                "heredoc_start" | "heredoc_end" => {}
                _ => match self.expression(part).text() {
                    Some(text) => out.push_str(&text),
                    None => return Value::unknown(format!("the string {}", self.text_of(node))),
                },
            }
        }
        Value::Str(out)
    }

    fn unary(&mut self, node: Node<'_>) -> Value {
        let operator = node.child(0).map_or("", |n| self.text_of(n));
        let value = self.child(node, "argument");
        match (operator, value) {
            ("!", value) => value
                .truth()
                .map_or(Value::unknown("a condition"), |truth| Value::Bool(!truth)),
            ("-", Value::Int(number)) => Value::Int(number.wrapping_neg()),
            _ => Value::unknown("an arithmetic expression"),
        }
    }

    fn binary(&mut self, node: Node<'_>) -> Value {
        let operator = node
            .child_by_field_name("operator")
            .map_or("", |n| self.text_of(n))
            .to_ascii_lowercase();
        let left = self.child(node, "left");
        match operator.as_str() {
            "." => {
                let right = self.child(node, "right");
                match (left.text(), right.text()) {
                    (Some(a), Some(b)) => Value::Str(a + &b),
                    (None, _) => left,
                    _ => right,
                }
            }
            "??" if node.named_child(0).is_some_and(|n| self.is_unset(n)) => {
                self.child(node, "right")
            }
            "??" => match left.is_set() {
                Some(true) => left,
                Some(false) => self.child(node, "right"),
                None => Value::unknown("a value set at run time"),
            },
            "&&" | "and" => self.shortcut(node, left.truth(), false),
            "||" | "or" => self.shortcut(node, left.truth(), true),
            "==" | "===" | "!=" | "!==" => {
                let right = self.child(node, "right");
                match (left.text(), right.text()) {
                    (Some(a), Some(b)) => Value::Bool((a == b) == operator.starts_with('=')),
                    _ => Value::unknown("a condition"),
                }
            }
            _ => Value::unknown("an arithmetic expression"),
        }
    }

    /// `&&` and `||`: the right side is followed only when the left is not `decides`.
    fn shortcut(&mut self, node: Node<'_>, left: Option<bool>, decides: bool) -> Value {
        let mut right = Value::unknown("a condition");
        match left {
            Some(truth) if truth == decides => return Value::Bool(decides),
            Some(_) => right = self.child(node, "right"),
            None => self.uncertainly(|file| {
                file.child(node, "right");
            }),
        }
        right.truth().map_or(right, Value::Bool)
    }

    fn conditional(&mut self, node: Node<'_>) -> Value {
        let condition = self.child(node, "condition");
        match condition.truth() {
            Some(true) if node.child_by_field_name("body").is_none() => condition,
            Some(true) => self.child(node, "body"),
            Some(false) => self.child(node, "alternative"),
            None => Value::unknown(condition.why_unknown().unwrap_or_default()),
        }
    }

    fn assignment(&mut self, node: Node<'_>) -> Value {
        let value = self.child(node, "right");
        let Some(left) = node.child_by_field_name("left") else {
            return value;
        };
        let name = match left.kind() {
            "variable_name" => Some(self.text_of(left).trim_start_matches('$').to_owned()),
            "subscript_expression" if self.base_of(left) == "$GLOBALS" => self.key_of(left),
            _ => None,
        };
        if let Some(name) = name {
            self.assign(name, value.clone());
        }
        value
    }

    fn base_of(&self, subscript: Node<'_>) -> &'a str {
        subscript.named_child(0).map_or("", |n| self.text_of(n))
    }

    fn key_of(&mut self, subscript: Node<'_>) -> Option<String> {
        let key = subscript.named_child(1)?;
        self.expression(key).text()
    }

    fn subscript(&mut self, node: Node<'_>) -> Value {
        let key = self.key_of(node);
        match (self.base_of(node), key) {
            ("$_ENV" | "$_SERVER", Some(key)) => Value::Environment(key),
            ("$GLOBALS", Some(key)) => self
                .definitions
                .variable(&key)
                .cloned()
                .unwrap_or(Value::Null),
            _ => Value::unknown(self.text_of(node)),
        }
    }

    /// A variable that nothing followed so far sets.
    fn is_unset(&self, node: Node<'_>) -> bool {
        let name = self.text_of(node).trim_start_matches('$');
        let is_variable = matches!(node.kind(), "variable_name" | "argument");
        is_variable
            && self.text_of(node).starts_with('$')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && self.definitions.variable(name).is_none()
    }

    fn include(&mut self, node: Node<'_>) -> Value {
        if let Some(path) = self.last_child(node).text()
            && !self.uncertain
        {
            self.definitions.include(self.path, Path::new(&path));
        }
        Value::unknown("the result of an included file")
    }

    fn call(&mut self, node: Node<'_>) -> Value {
        let name = node
            .child_by_field_name("function")
            .map_or("", |n| self.text_of(n))
            .trim_start_matches('\\')
            .to_ascii_lowercase();
        let Some(list) = node.child_by_field_name("arguments") else {
            return Value::Null;
        };
        let mut cursor = list.walk();
        let nodes: Vec<_> = list
            .named_children(&mut cursor)
            .filter(|n| n.kind() == "argument")
            .collect();
        let arguments: Vec<_> = nodes.iter().map(|n| self.expression(*n)).collect();
        let first = arguments.first().cloned().unwrap_or(Value::Null);
        let text = first.text();
        match (name.as_str(), text) {
            ("define", Some(name)) => {
                let value = arguments.get(1).cloned().unwrap_or(Value::Null);
                self.define(name, value);
                Value::Bool(true)
            }
            ("defined", Some(name)) => match self.definitions.constant(&name) {
                // Defined in an uncertain branch: uncertain here.
                Some(Value::Unknown(why)) => Value::unknown(why.clone()),
                found => Value::Bool(found.is_some()),
            },
            ("getenv", Some(name)) => Value::Environment(name),
            // The function of the official container image, and its like: name and default.
            ("getenv_docker" | "env", Some(name)) => arguments
                .get(1)
                .cloned()
                .unwrap_or(Value::Environment(name)),
            ("isset" | "empty", _) if nodes.first().is_some_and(|n| self.is_unset(*n)) => {
                Value::Bool(name == "empty")
            }
            ("isset", _) => first
                .is_set()
                .map_or(Value::unknown("a condition"), Value::Bool),
            ("empty", _) => first
                .truth()
                .map_or(Value::unknown("a condition"), |truth| Value::Bool(!truth)),
            ("dirname", Some(path)) => {
                let levels = match arguments.get(1) {
                    Some(Value::Int(levels)) => (*levels).clamp(1, 32),
                    _ => 1,
                };
                Value::Str((0..levels).fold(path, |path, _| parent(&path)))
            }
            ("file_exists" | "is_file" | "is_readable", Some(path)) => {
                Value::Bool(Path::new(&path).is_file())
            }
            ("function_exists", _) => Value::Bool(false),
            ("realpath" | "trim" | "strval", Some(text)) => Value::Str(text.trim().to_owned()),
            ("rtrim" | "untrailingslashit", Some(text)) => {
                Value::Str(text.trim_end_matches(['/', ' ']).to_owned())
            }
            _ => Value::unknown(format!("the function {name}()")),
        }
    }
}

/// `dirname` of one level.
fn parent(path: &str) -> String {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((parent, _)) => parent.to_owned(),
        None => ".".to_owned(),
    }
}

fn unescape(sequence: &str, doubles: bool) -> String {
    let rest = &sequence[1..];
    if !doubles {
        return match rest {
            "'" | "\\" => rest.to_owned(),
            _ => sequence.to_owned(),
        };
    }
    let code = |digits: &str, radix| u32::from_str_radix(digits, radix).ok();
    let char_of = |code: Option<u32>| code.and_then(char::from_u32).map(String::from);
    let known = match rest.as_bytes().first() {
        Some(b'n') => Some("\n".to_owned()),
        Some(b't') => Some("\t".to_owned()),
        Some(b'r') => Some("\r".to_owned()),
        Some(b'v') => Some("\u{b}".to_owned()),
        Some(b'e') => Some("\u{1b}".to_owned()),
        Some(b'f') => Some("\u{c}".to_owned()),
        Some(b'\\' | b'$' | b'"') => Some(rest.to_owned()),
        Some(b'x') => char_of(code(&rest[1..], 16)),
        Some(b'u') => char_of(code(rest[1..].trim_matches(['{', '}']), 16)),
        Some(b'0'..=b'7') => char_of(code(rest, 8)),
        _ => None,
    };
    known.unwrap_or_else(|| sequence.to_owned())
}
