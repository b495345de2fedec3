//! What happens inside a session, each in its own process.

use backupd_base::{Code, ExposeSecret as _, Result};
use backupd_vault::{Entry, Vault};

const HOME: &str = "home";

fn key() -> Entry {
    Entry::ClientKey(HOME.into())
}

fn code_of<T>(outcome: Result<T>) -> Result<Code, String> {
    match outcome {
        Ok(_) => Err("it should have failed".into()),
        Err(error) => {
            println!("  {error}");
            Ok(error.code())
        }
    }
}

fn expect(code: Code, outcome: Result<impl Sized>) -> Result<(), String> {
    let got = code_of(outcome)?;
    (got == code)
        .then_some(())
        .ok_or(format!("{got:?} instead of {code:?}"))
}

pub fn run(step: &str) -> Result<(), String> {
    let vault = Vault::keyring();
    let told = |e: backupd_base::Error| e.to_string();
    match step {
        "set_up" => {
            vault.probe(HOME).map_err(told)?;
            vault.found(HOME).map_err(told)?;
            vault
                .set(&key(), &"the key".to_owned().into())
                .map_err(told)?;
            vault
                .set(&key(), &"the newer key".to_owned().into())
                .map_err(told)
        }
        "read_back" => {
            vault.check(HOME).map_err(told)?;
            let kept = vault.get(HOME, &key()).map_err(told)?;
            (kept.expose_secret() == "the newer key")
                .then_some(())
                .ok_or("another value".into())
        }
        "other_installation_sees_nothing" => expect(
            Code::KeyMissing,
            vault.get("other", &Entry::ClientKey("other".into())),
        ),
        "told_as_locked" | "told_as_absent" => {
            expect(Code::KeyringLocked, vault.get(HOME, &key()))?;
            expect(Code::KeyringLocked, vault.check(HOME))?;
            expect(Code::KeyringLocked, vault.probe(HOME))?;
            expect(
                Code::KeyringLocked,
                vault.set(&key(), &"x".to_owned().into()),
            )
        }
        "lose_one" => vault.delete(&key()).map_err(told),
        "one_is_named" => {
            vault.check(HOME).map_err(told)?;
            expect(Code::KeyMissing, vault.get(HOME, &key()))
        }
        "lose_all" => vault.delete(&Entry::Sentinel(HOME.into())).map_err(told),
        "told_as_emptied" => {
            expect(Code::KeyMissing, vault.check(HOME))?;
            expect(Code::KeyMissing, vault.get(HOME, &key()))
        }
        other => Err(format!("no step {other:?}")),
    }
}
