//! The code people read from one screen and type into another.

use std::{fmt, str::FromStr};

use backupd_base::{Code, Error};
use rand::{RngCore as _, rngs::OsRng};
use zeroize::Zeroizing;

/// The symbols of a code: digits and capitals without I, L, O and U (Crockford's base 32).
pub const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Symbols in a code: 25 bits.
pub const CODE_LENGTH: usize = 5;

/// A pairing code. Prints nothing of itself; [`PairingCode::reveal`] is for the console.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode(Zeroizing<String>);

impl PairingCode {
    /// A new code from the system's random generator, every one equally likely.
    #[must_use]
    pub fn generate() -> Self {
        let mut random = Zeroizing::new([0u8; CODE_LENGTH]);
        OsRng.fill_bytes(random.as_mut());
        // 32 divides 256: the remainder favours nobody.
        let symbols = random.iter().map(|byte| ALPHABET[usize::from(byte % 32)]);
        Self(Zeroizing::new(symbols.map(char::from).collect()))
    }

    /// The code in the clear.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for PairingCode {
    type Err = Error;

    /// Takes what people type: lower case, blanks and hyphens between, `O` for 0, `I` and `L` for 1.
    /// `U` stands for no symbol.
    fn from_str(typed: &str) -> Result<Self, Error> {
        let mut code = Zeroizing::new(String::with_capacity(CODE_LENGTH));
        for c in typed.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let symbol = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            if !symbol.is_ascii() || !ALPHABET.contains(&(symbol as u8)) {
                return Err(invalid());
            }
            // Never beyond its capacity: a longer text is refused before it would be copied.
            if code.len() == CODE_LENGTH {
                return Err(invalid());
            }
            code.push(symbol);
        }
        if code.len() == CODE_LENGTH {
            Ok(Self(code))
        } else {
            Err(invalid())
        }
    }
}

/// Never quotes what was typed.
fn invalid() -> Error {
    Error::new(
        Code::Invalid,
        "a pairing code is 5 letters and digits, without I, L, O and U",
    )
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_understood() {
        for typed in ["XC9D2", "xc9d2", " xc-9d2 ", "x c 9 d 2"] {
            assert_eq!(
                typed.parse::<PairingCode>().unwrap().reveal(),
                "XC9D2",
                "{typed:?}"
            );
        }
        assert_eq!("oIl0z".parse::<PairingCode>().unwrap().reveal(), "0110Z");
    }

    #[test]
    fn what_is_no_code_is_refused_without_quoting_it() {
        for typed in ["", "XC9D", "XC9D22", "XC9DU", "XC9D!", "XC9Dé", "ſC9D2"] {
            let error = typed.parse::<PairingCode>().unwrap_err();
            assert_eq!(error.code(), Code::Invalid, "{typed:?}");
            assert!(typed.is_empty() || !error.to_string().contains(typed));
        }
    }

    #[test]
    fn every_symbol_turns_up_about_equally_often() {
        let mut seen = [0u32; 256];
        for _ in 0..6400 {
            for byte in PairingCode::generate().reveal().bytes() {
                seen[usize::from(byte)] += 1;
            }
        }
        // 1000 expected of each; 200 is more than six standard deviations.
        for &symbol in ALPHABET {
            let n = seen[usize::from(symbol)];
            assert!((800..1200).contains(&n), "{}: {n}", symbol as char);
        }
        assert_eq!(seen.iter().sum::<u32>(), 32_000);
    }

    #[test]
    fn it_prints_nothing_of_itself() {
        let code: PairingCode = "XC9D2".parse().unwrap();
        assert_eq!(format!("{code:?}"), "PairingCode(…)");
    }
}
