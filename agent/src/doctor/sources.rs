//! One source: that it can be read, that its database answers, that its snapshots can be opened.

use std::{
    fs::{self, File},
    io,
    path::Path,
    time::Duration,
};

use backupd_base::{Code, Context as _, Result};
use backupd_protocol::Source;

use super::{Finding, user};
use crate::{
    modules::{self, Database, Tree, mysql::schema::Privileges},
    pipeline,
    store::{Store, formers},
};

const CHECK: &str = "source";
/// A database that lets a site work answers sooner.
const ANSWER: Duration = Duration::from_secs(10);

/// Looks at `source`; asks its database when there is a client to ask with.
pub(super) fn examine(store: &Store, source: &Source, has_client: bool) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(kept(store, source)?);
    let scratch = tempfile::tempdir_in(store.dir()).context("make a folder to work in")?;
    match readable(source, scratch.path()) {
        Err(finding) => findings.push(finding),
        Ok(database) => {
            findings.push(Finding::good(CHECK, "Its files can be read."));
            if let Some(database) = database.filter(|_| has_client) {
                findings.extend(ask(&database, scratch.path()));
            }
        }
    }
    let of_it = findings.into_iter().map(|f| f.of(&source.name));
    Ok(of_it.collect())
}

/// A restore in place that nobody has confirmed.
fn kept(store: &Store, source: &Source) -> Result<Option<Finding>> {
    let job = store.read(|db| formers::of_source(db, &source.id))?;
    let name = &source.name;
    Ok(job.map(|job| {
        Finding::warning(
            CHECK,
            format!("The state from before a restore in place (job {job}) is still kept: it takes room, and no other restore in place can begin."),
            format!("Look at the site; then keep it as it is with: backupd restore {name:?} --confirm, or go back with: backupd restore {name:?} --undo"),
        )
    }))
}

/// Whether a backup could begin; its database if it has one.
fn readable(source: &Source, scratch: &Path) -> Result<Option<Database>, Finding> {
    // Before what the module says: without the right to look, a site seems not to be there.
    if let Some(path) = source.settings.get("path").and_then(|path| path.as_str()) {
        look_into(Path::new(path))?;
    }
    pipeline::check(source).map_err(|e| {
        Finding::bad(
            CHECK,
            format!("It cannot be backed up as it is configured: {e}."),
            "Change what is named where the source was made: in the app, or in /etc/backupd/config.",
        )
    })?;
    let plan = modules::find(&source.module)
        .and_then(|module| module.plan(&source.settings, scratch))
        .map_err(|e| Finding::bad(CHECK, format!("It cannot be backed up: {e}."), match e.code() {
            Code::NotFound => "Put back what is missing, or give the source its new path.",
            _ => "Let the agent read the file that is named (it may need to run as root), and write the value that is named as plain text: a site's PHP is read, never run.",
        }))?;
    for tree in &plan.trees {
        look_through(tree)?;
    }
    Ok(plan.database)
}

fn look_through(tree: &Tree) -> Result<(), Finding> {
    look_into(&tree.root)?;
    tree.only
        .iter()
        .try_for_each(|path| look_into(&tree.root.join(path)))
}

/// Whether a folder can be listed, or a file opened.
fn look_into(path: &Path) -> Result<(), Finding> {
    let looked = fs::metadata(path).and_then(|meta| match meta.is_dir() {
        true => fs::read_dir(path).map(drop),
        false => File::open(path).map(drop),
    });
    let Err(error) = looked else { return Ok(()) };
    let shown = path.display();
    Err(match error.kind() {
        io::ErrorKind::NotFound => Finding::bad(
            CHECK,
            format!("{shown} is not there."),
            "Mount its disk, put it back, or give the source the path the site has now.",
        ),
        io::ErrorKind::PermissionDenied => Finding::bad(
            CHECK,
            format!(
                "{shown} cannot be read by {}, as which the agent runs.",
                user()
            ),
            format!(
                "Run backupd as root, as its service does, or let this user read it: setfacl -R -m u:{}:rX {shown}",
                rustix::process::geteuid().as_raw()
            ),
        ),
        _ => Finding::bad(
            CHECK,
            format!("{shown} cannot be read: {error}."),
            "Look after its disk: dmesg, mount.",
        ),
    })
}

fn ask(database: &Database, scratch: &Path) -> Vec<Finding> {
    let access = &database.access;
    let (name, user) = (&access.database, &access.user);
    let count = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()";
    let asked = access
        .query_within(scratch, count, ANSWER)
        .and_then(|rows| Ok((rows, Privileges::read(access, scratch)?)));
    let (rows, privileges) = match asked {
        Ok(answer) => answer,
        Err(e) => {
            return vec![Finding::bad(
                CHECK,
                format!("Its database does not answer user {user:?}: {e}."),
                "See that the database server runs (systemctl status mariadb mysql), and that DB_NAME, DB_USER, DB_PASSWORD and DB_HOST in wp-config.php are what the server knows.",
            )];
        }
    };
    let tables = rows.into_iter().flatten().flatten().next();
    if tables.as_deref() == Some("0") {
        return vec![Finding::warning(
            CHECK,
            format!("Its database {name} holds no table that user {user:?} may see."),
            "Finish the site's installation, or see that wp-config.php names the right database and user.",
        )];
    }
    let mut findings = vec![Finding::good(
        CHECK,
        format!(
            "Its database {name} answers, with {} tables.",
            tables.unwrap_or_default()
        ),
    )];
    for (granted, privilege) in [
        (privileges.triggers, "TRIGGER"),
        (privileges.events, "EVENT"),
    ] {
        if !granted {
            findings.push(Finding::warning(
                CHECK,
                format!("The database user {user:?} lacks the privilege {privilege}: such things are not in a backup."),
                format!("If the site has any: GRANT {privilege} ON `{name}`.* TO this user."),
            ));
        }
    }
    findings
}
