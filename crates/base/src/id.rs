//! Opaque ids: time-ordered (UUIDv7, RFC 9562), made of `[a-zA-Z0-9_-]` only,
//! and the only thing ever used in a path or an object key.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is 1 to 64 of the characters a-z, A-Z, 0-9, _ and -")]
pub struct IdError;

fn check(text: &str) -> Result<(), IdError> {
    let fits = (1..=64).contains(&text.len());
    let safe = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits && safe { Ok(()) } else { Err(IdError) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "specta", derive(specta::Type), specta(transparent))]
        pub struct $name(String);

        impl $name {
            /// A new id; later ids sort after earlier ones.
            #[must_use]
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7().to_string())
            }

            /// The id as text, safe in a path and in an object key.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                check(&text)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id!(
    /// A server with an agent enrolled at the master.
    NodeId
);
id!(
    /// Whose data it is: a client, a company.
    TenantId
);
id!(
    /// One thing to back up.
    SourceId
);
id!(
    /// One run of a module for one source.
    JobId
);
id!(
    /// What a completed job leaves in storage.
    SnapshotId
);
id!(
    /// A configured store.
    ProviderId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_could_leave_a_folder() {
        for bad in ["", "..", "a/b", "a\\b", "a.b", "ä", "a b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<SourceId>(), Err(IdError), "{bad:?}");
            let json = serde_json::to_string(bad).unwrap();
            assert!(
                serde_json::from_str::<SourceId>(&json).is_err(),
                "{bad:?} through JSON"
            );
        }
        assert_eq!("a-Z_9".parse::<SourceId>().unwrap().as_str(), "a-Z_9");
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let ids: Vec<_> = (0..100).map(|_| JobId::new()).collect();
        assert!(ids.is_sorted());
    }
}
