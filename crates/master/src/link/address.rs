//! Where a node listens, as a person types it.

use std::{fmt, str::FromStr};

use backupd_base::{Code, Error};

/// The port an agent listens on unless told otherwise.
const DEFAULT_PORT: u16 = 8000;

/// A host name or IP address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Without brackets, also for IPv6.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl FromStr for Address {
    type Err = Error;

    /// `host`, `host:port`, `1.2.3.4:port`, `::1`, `[::1]:port`; a leading `https://` and a closing
    /// slash are taken off.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || {
            Error::new(
                Code::Invalid,
                format!("{text:?} is no address: a host name or IP address, and perhaps :port"),
            )
        };
        let bare = text.trim();
        let bare = bare.strip_prefix("https://").unwrap_or(bare);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        let (host, port) = if let Some(rest) = bare.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(refused)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| refused())?;
            (
                host,
                rest.strip_prefix(':').or((!rest.is_empty()).then_some("?")),
            )
        } else if bare.parse::<std::net::Ipv6Addr>().is_ok() {
            (bare, None)
        } else {
            match bare.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (bare, None),
            }
        };
        let named = host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
        if host.is_empty() || host.len() > 253 || !named {
            return Err(refused());
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(refused()),
                Ok(port) => port,
            },
        };
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (text, shown) in [
            (" Web-1.example ", "web-1.example:8000"),
            ("https://192.0.2.7:9000/", "192.0.2.7:9000"),
            ("::1", "[::1]:8000"),
            ("[2001:db8::1]", "[2001:db8::1]:8000"),
            ("[2001:db8::1]:81", "[2001:db8::1]:81"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse::<Address>().unwrap(), address);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "", ":8000", "a:0", "a:99999", "a:b", "a/b", "a@b", "a b", "[::1", "[::1]x", "[a]:1",
            "http://a", "a:1:2", "ä",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error.code(), Code::Invalid, "{text:?}");
        }
    }
}
