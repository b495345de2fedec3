//! Records of a PAX extended header (POSIX.1-2001, pax): keys, values of any bytes, times, and the
//! names GNU tar gives to extended attributes.

use backupd_base::Result;

use crate::{Mtime, damage::corrupt};

/// One PAX record: "length key=value\n", where the length counts itself.
pub(crate) fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while rest + len.to_string().len() != len {
        len = rest + len.to_string().len();
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// The records of a PAX header by their lengths: a value may contain anything.
pub(crate) fn records(mut pax: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8])>> {
    std::iter::from_fn(move || {
        if pax.is_empty() {
            return None;
        }
        let next = (|| {
            let space = pax.iter().take(20).position(|b| *b == b' ')?;
            let len = usize::try_from(decimal(&pax[..space]).ok()?).ok()?;
            let body = pax.get(space + 1..len)?.strip_suffix(b"\n")?;
            let equals = body.iter().position(|b| *b == b'=')?;
            Some((len, (&body[..equals], &body[equals + 1..])))
        })();
        match next {
            Some((len, found)) => {
                pax = &pax[len..];
                Some(Ok(found))
            }
            None => {
                pax = &[];
                Some(Err(corrupt("a PAX header is malformed")))
            }
        }
    })
}

pub(crate) fn decimal(text: &[u8]) -> Result<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| corrupt("a number in a PAX header is malformed"))
}

/// Seconds and their fraction in decimal; before 1970 the fraction counts away from zero.
pub(crate) fn pax_time(time: Mtime) -> String {
    let Mtime {
        seconds,
        nanoseconds,
    } = time;
    if nanoseconds == 0 {
        seconds.to_string()
    } else if seconds >= 0 {
        format!("{seconds}.{nanoseconds:09}")
    } else {
        let whole = -i128::from(seconds) - 1;
        format!("-{whole}.{:09}", 1_000_000_000 - nanoseconds)
    }
}

pub(crate) fn parse_pax_time(text: &[u8]) -> Result<Mtime> {
    let bad = || corrupt("a time in a PAX header is malformed");
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|b| *b == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b"0"[..]),
    };
    if fraction.len() > 9 {
        return Err(bad());
    }
    let scale = 10_u64.pow(9 - fraction.len() as u32);
    let nanoseconds = u32::try_from(decimal(fraction)? * scale).map_err(|_| bad())?;
    let whole = i128::from(decimal(whole)?);
    let (seconds, nanoseconds) = match (negative, nanoseconds) {
        (false, n) => (whole, n),
        (true, 0) => (-whole, 0),
        (true, n) => (-whole - 1, 1_000_000_000 - n),
    };
    Ok(Mtime {
        seconds: i64::try_from(seconds).map_err(|_| bad())?,
        nanoseconds,
    })
}

/// `=` ends a PAX key, so GNU tar writes it as `%3D` in the name of an attribute, and `%` as `%25`.
pub(crate) fn xattr_key(name: &[u8]) -> Vec<u8> {
    let mut key = b"SCHILY.xattr.".to_vec();
    for byte in name {
        match byte {
            b'%' => key.extend_from_slice(b"%25"),
            b'=' => key.extend_from_slice(b"%3D"),
            other => key.push(*other),
        }
    }
    key
}

pub(crate) fn xattr_name(key: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(key.len());
    let mut rest = key;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"%25") {
            name.push(b'%');
            rest = after;
        } else if let Some(after) = rest.strip_prefix(b"%3D") {
            name.push(b'=');
            rest = after;
        } else {
            name.push(*first);
            rest = after;
        }
    }
    name
}
