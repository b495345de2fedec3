//! Where requests may go. An endpoint is typed by a person or comes from a master; it must not
//! make a server ask its own cloud for credentials (169.254.169.254 and its kin).

use std::net::{IpAddr, Ipv4Addr};

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use backupd_base::{Code, Context as _, Error, Result};

/// An HTTPS and HTTP/1 client with the system's root certificates, without proxies, that
/// connects to no forbidden address.
pub(super) fn client() -> SharedHttpClient {
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_with_resolver(Resolver)
}

/// The endpoint, if it is one: `http` or `https`, a host, perhaps a port, nothing else.
pub(super) fn check(endpoint: &str) -> Result<&str> {
    let invalid = |why: &str| {
        let what = format!("{endpoint:?} is not an endpoint: {why}");
        Error::new(Code::Invalid, what)
    };
    let uri: http::Uri = endpoint
        .parse()
        .with_context(|| format!("{endpoint:?} is not an endpoint"))
        .map_err(|e| e.with_code(Code::Invalid))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(invalid("it must begin with https:// or http://"));
    }
    let authority = uri.authority().ok_or_else(|| invalid("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(invalid("it must not hold a user name"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(invalid("it must end with the host name or port"));
    }
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    if host.parse().is_ok_and(is_forbidden) {
        return Err(invalid("link-local addresses are not allowed"));
    }
    Ok(endpoint.trim_end_matches('/'))
}

/// Link-local addresses, and the metadata addresses of clouds that lie elsewhere.
fn is_forbidden(address: IpAddr) -> bool {
    const METADATA: [&str; 2] = ["fd00:ec2::254", "100.100.100.200"];
    let v4 = |a: Ipv4Addr| a.is_link_local() || a.is_unspecified();
    let local = match address {
        IpAddr::V4(a) => v4(a),
        IpAddr::V6(a) => {
            a.is_unicast_link_local() || a.is_unspecified() || a.to_ipv4_mapped().is_some_and(v4)
        }
    };
    local
        || METADATA
            .iter()
            .any(|m| m.parse() == Ok(address.to_canonical()))
}

/// The system's resolver, less the addresses that are forbidden. It answers for the very
/// connection that is made, so a name cannot change between check and use.
#[derive(Debug, Clone)]
struct Resolver;

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = tokio::net::lookup_host((name, 0))
                .await
                .map_err(ResolveDnsError::new)?;
            let allowed: Vec<IpAddr> = found
                .map(|address| address.ip())
                .filter(|ip| !is_forbidden(*ip))
                .collect();
            if allowed.is_empty() {
                return Err(ResolveDnsError::new(format!(
                    "{name} has no address that a store may have"
                )));
            }
            Ok(allowed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_that_reach_where_they_must_not_are_refused() {
        for bad in [
            "",
            "s3.example.org",
            "ftp://s3.example.org",
            "file:///etc",
            "https://user:pass@s3.example.org",
            "https://s3.example.org/path",
            "https://s3.example.org?x=1",
            "http://169.254.169.254",
            "http://[fe80::1]:9000",
            "http://[::ffff:169.254.169.254]",
            "http://[fd00:ec2::254]",
            "http://100.100.100.200",
            "http://0.0.0.0:9000",
        ] {
            assert_eq!(check(bad).unwrap_err().code(), Code::Invalid, "{bad:?}");
        }
        for good in [
            "https://s3.example.org",
            "http://127.0.0.1:8333/",
            "http://[::1]:9000",
        ] {
            assert_eq!(check(good).unwrap(), good.trim_end_matches('/'));
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_the_address_behind_it() {
        // A literal is resolved like a name, so this needs no network.
        assert!(Resolver.resolve_dns("169.254.169.254").await.is_err());
        assert!(Resolver.resolve_dns("127.0.0.1").await.is_ok());
    }
}
