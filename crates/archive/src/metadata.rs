//! Sets what an entry had besides its content: owner, mode, attributes, time.

use std::{
    ffi::OsStr,
    fs::{File, FileTimes},
    io,
    time::{Duration, SystemTime},
};

use cap_std::fs::Dir;

use crate::{Mtime, tar_header::TarHeader};

/// The handle of `Dir` is for looking up names only; metadata needs one of its own.
#[cfg(unix)]
pub(crate) fn set_folder_metadata(dir: &Dir, header: &TarHeader, owners: bool) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags, openat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = File::from(openat(dir, ".", flags, Mode::empty())?);
    set_metadata(&folder, header, owners)
}

/// Elsewhere a folder keeps the time it was made.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)] // it may fail where there is something to set
pub(crate) fn set_folder_metadata(_: &Dir, _: &TarHeader, _: bool) -> io::Result<()> {
    Ok(())
}

fn system_time(time: Mtime) -> Option<SystemTime> {
    let seconds = Duration::from_secs(time.seconds.unsigned_abs());
    let whole = if time.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    whole?.checked_add(Duration::from_nanos(time.nanoseconds.into()))
}

/// Owner first, since it clears set-user-ID; times last, since all else changes them.
pub(crate) fn set_metadata(file: &File, header: &TarHeader, owners: bool) -> io::Result<()> {
    #[cfg(unix)]
    let set = set_unix_metadata(file, header, owners);
    #[cfg(not(unix))]
    let (_, set) = (owners, Ok(()));
    let time = system_time(header.mtime).ok_or(io::ErrorKind::InvalidInput)?;
    file.set_times(FileTimes::new().set_modified(time))?;
    set
}

#[cfg(unix)]
fn set_unix_metadata(file: &File, header: &TarHeader, owners: bool) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let owner = if owners {
        std::os::unix::fs::fchown(file, Some(header.uid), Some(header.gid))
    } else {
        Ok(())
    };
    // Without its owner a set-user-ID bit would mean another user.
    let mode = if owners && owner.is_ok() {
        header.mode
    } else {
        header.mode & 0o777
    };
    let mut attributes = Ok(());
    for (name, value) in &header.xattrs {
        if owners || name.starts_with(b"user.") {
            attributes = attributes.and(crate::xattr::write(file, name, value));
        }
    }
    let mode = file.set_permissions(std::fs::Permissions::from_mode(mode));
    owner.and(mode).and(attributes)
}

#[cfg(unix)]
pub(crate) fn set_link_metadata(
    parent: &Dir,
    name: &OsStr,
    header: &TarHeader,
    owners: bool,
) -> io::Result<()> {
    use rustix::fs::{AtFlags, Gid, Timespec, Timestamps, UTIME_OMIT, Uid, chownat, utimensat};
    if owners {
        let (uid, gid) = (Uid::from_raw(header.uid), Gid::from_raw(header.gid));
        chownat(
            parent,
            name,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
    }
    #[allow(clippy::unnecessary_cast)] // the types differ between systems
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT as _,
        },
        last_modification: Timespec {
            tv_sec: header.mtime.seconds as _,
            tv_nsec: header.mtime.nanoseconds as _,
        },
    };
    utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn set_link_metadata(_: &Dir, _: &OsStr, _: &TarHeader, _: bool) -> io::Result<()> {
    Ok(())
}
