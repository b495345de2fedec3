//! Finds the WordPress sites below a folder, and looks at one on request. Reads only; a site's
//! password is used to ask its own database and is in nothing returned.

mod walk;

use std::path::Path;

use backupd_base::{Code, Context as _, Error, Result};
use backupd_protocol::{FoundSite, SiteDatabase};

use crate::modules::wordpress::config::{self, Config};

/// Where sites usually are.
pub const DEFAULT_BASE: &str = "/var/www";

/// Finds the sites below `base`, or where sites usually are: in it, in its folders, and in the
/// usual sub-folders of those. Blocks while it walks and asks databases.
///
/// # Errors
/// `Invalid` when `base` is not an absolute path of a folder, `NotFound` when there is none. A
/// server without the usual folder has no sites there, and that is no error.
pub fn scan(base: Option<&Path>) -> Result<Vec<FoundSite>> {
    let usual = Path::new(DEFAULT_BASE);
    if base.is_none() && !usual.exists() {
        return Ok(Vec::new());
    }
    let base = folder(base.unwrap_or(usual))?;
    Ok(walk::candidates(&base)
        .iter()
        .map(|root| look(root))
        .collect())
}

/// Looks at the site whose web root is `path`. One that cannot be backed up says why in its
/// `problems`.
///
/// # Errors
/// `Invalid` when `path` is not an absolute path of a folder.
pub fn verify(path: &Path) -> Result<FoundSite> {
    folder(path).map(|path| look(&path))
}

fn folder(path: &Path) -> Result<std::path::PathBuf> {
    let what = || format!("open folder {}", path.display());
    if !path.is_absolute() {
        let why = format!("{} is not an absolute path", path.display());
        return Err(Error::new(Code::Invalid, why));
    }
    let path = path.canonicalize().with_context(what)?;
    if path.is_dir() {
        Ok(path)
    } else {
        let why = format!("{} is not a folder", path.display());
        Err(Error::new(Code::Invalid, why))
    }
}

fn look(root: &Path) -> FoundSite {
    let mut problems = Vec::new();
    let read = config::read(root);
    let content_dir = match &read {
        Ok(config) => config.content_dir.clone(),
        Err(found) => {
            problems.extend(found.sentences.iter().cloned());
            found.content_dir.clone()
        }
    };
    let has_content = content_dir.is_dir();
    if !has_content {
        let folder = content_dir.display();
        problems.push(format!("The content folder {folder} is not there."));
    }
    let config = read.ok();
    let identity = match config.as_ref().map(identity) {
        Some(Ok(identity)) => identity,
        Some(Err(e)) => {
            problems.push(format!("The database does not answer: {e}."));
            Default::default()
        }
        None => Default::default(),
    };
    let (content_bytes, content_files) = walk::measure(&content_dir);
    let folder_name = root.file_name().unwrap_or(root.as_os_str());
    FoundSite {
        name: identity
            .title
            .clone()
            .unwrap_or_else(|| folder_name.to_string_lossy().into_owned()),
        path: root.display().to_string(),
        has_config: config::locate(root).is_some(),
        has_content,
        database: config.map(|config| SiteDatabase {
            name: config.db_name,
            user: config.db_user,
            host: config.db_host,
            prefix: config.prefix,
        }),
        url: identity.url,
        title: identity.title,
        content_bytes,
        content_files,
        problems,
    }
}

fn identity(config: &Config) -> Result<crate::modules::wordpress::site::Identity> {
    let scratch = tempfile::tempdir().context("make a private folder")?;
    config.identity(scratch.path())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn site(root: &Path) {
        fs::create_dir_all(root.join("wp-content/uploads")).unwrap();
        fs::write(root.join("wp-content/uploads/a.jpg"), [0; 1000]).unwrap();
        let config = "<?php define('DB_NAME','d'); define('DB_USER','u'); \
            define('DB_PASSWORD','canary-5f2a'); define('DB_HOST','localhost:/no/such.sock'); \
            $table_prefix='wp_';";
        fs::write(root.join("wp-config.php"), config).unwrap();
        fs::write(root.join("wp-load.php"), "<?php").unwrap();
    }

    #[test]
    fn sites_are_found_in_the_usual_places() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        for place in ["a", "b/htdocs", "c/public_html", "shop/www", "d/html/blog"] {
            site(&base.join(place));
        }
        fs::create_dir_all(base.join("static/html")).unwrap();
        // A link to a site is not a second site.
        std::os::unix::fs::symlink(base.join("a"), base.join("link")).unwrap();
        let found = scan(Some(&base)).unwrap();
        let paths: Vec<_> = found
            .iter()
            .map(|s| s.path.strip_prefix(&*base.to_string_lossy()).unwrap())
            .collect();
        let want = [
            "/a",
            "/b/htdocs",
            "/c/public_html",
            "/d/html/blog",
            "/shop/www",
        ];
        assert_eq!(paths, want);
        assert_eq!(scan(Some(&base.join("b/htdocs"))).unwrap().len(), 1);
    }

    #[test]
    fn what_is_there_is_told_and_the_password_never() {
        let base = tempfile::tempdir().unwrap();
        site(base.path());
        let found = verify(base.path()).unwrap();
        assert!(found.has_config && found.has_content);
        assert_eq!((found.content_bytes, found.content_files), (1000, 1));
        assert_eq!(found.database.as_ref().unwrap().name, "d");
        assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
        assert!(found.problems[0].contains("does not answer"));
        assert!(
            !serde_json::to_string(&found)
                .unwrap()
                .contains("canary-5f2a")
        );
    }

    #[test]
    fn what_is_no_site_says_why() {
        let base = tempfile::tempdir().unwrap();
        let found = verify(base.path()).unwrap();
        assert!(!found.has_config && !found.has_content);
        assert_eq!(found.problems.len(), 2);
        assert_eq!(verify(Path::new("var")).unwrap_err().code(), Code::Invalid);
        let missing = verify(&base.path().join("x")).unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
    }
}
