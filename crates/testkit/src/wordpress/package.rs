//! WordPress as Debian has it, copied into a site's folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::tool;

/// The unpacked WordPress: the same in every test, so nothing may write into it.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn package() -> PathBuf {
    tool("wordpress/usr/share/wordpress")
}

/// Makes `root` a WordPress without a configuration.
pub(super) fn copy_to(root: &Path) {
    copy(&package(), root).expect("copy WordPress");
    // That is Debian's way of configuring it.
    fs::remove_file(root.join("wp-config.php")).expect("remove Debian's configuration");
}

/// Copies files and folders, and what links lead to: Debian keeps some in packages of their own.
/// A link that leads nowhere is left out.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match fs::metadata(&source) {
            Ok(found) if found.is_dir() => copy(&source, &target)?,
            Ok(_) => drop(fs::copy(&source, &target)?),
            Err(_) => {}
        }
    }
    Ok(())
}
