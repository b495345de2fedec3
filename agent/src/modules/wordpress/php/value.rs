//! What is known of a PHP value without running PHP.

/// A value as far as it is known. It may be a password: it does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Str(String),
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// `null`, also what is not set.
    Null,
    /// A variable of the site's environment, which this process does not share. In a test it
    /// counts as not set, so that the default in the file is taken.
    Environment(String),
    /// Decided at run time; by what, for a sentence.
    Unknown(String),
}

impl Value {
    /// The value as PHP would put it into a string.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Str(text) => Some(text.clone()),
            Self::Int(number) => Some(number.to_string()),
            Self::Bool(true) => Some("1".to_owned()),
            Self::Bool(false) | Self::Null => Some(String::new()),
            Self::Environment(_) | Self::Unknown(_) => None,
        }
    }

    /// Why the value is not known, for a sentence: "the environment variable X".
    #[must_use]
    pub fn why_unknown(&self) -> Option<String> {
        match self {
            Self::Environment(name) => Some(format!("the environment variable {name}")),
            Self::Unknown(why) => Some(why.clone()),
            _ => None,
        }
    }

    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown(why.into())
    }

    /// Whether PHP takes it for true.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::Str(text) => Some(!text.is_empty() && text != "0"),
            Self::Int(number) => Some(*number != 0),
            Self::Bool(truth) => Some(*truth),
            Self::Null | Self::Environment(_) => Some(false),
            Self::Unknown(_) => None,
        }
    }

    pub(super) fn is_set(&self) -> Option<bool> {
        match self {
            Self::Null | Self::Environment(_) => Some(false),
            Self::Unknown(_) => None,
            _ => Some(true),
        }
    }
}
