//! Extended attributes of an open file. Linux; elsewhere there are none.

use std::fs::File;

/// Name and value of each.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Largest list of names and largest value the kernel gives out.
#[cfg(target_os = "linux")]
const LARGEST: usize = 64 * 1024;

/// Reads all attributes; none where the file system has none.
#[cfg(target_os = "linux")]
pub(crate) fn read(file: &File) -> rustix::io::Result<Xattrs> {
    use rustix::{
        fs::{fgetxattr, flistxattr},
        io::Errno,
    };
    let mut small = [0; 256];
    let mut large = Vec::new();
    let names = match flistxattr(file, &mut small) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Ok(n) => &small[..n],
        Err(Errno::RANGE) => {
            large.resize(LARGEST, 0);
            let n = flistxattr(file, &mut large)?;
            &large[..n]
        }
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    let mut value = vec![0; LARGEST];
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        match fgetxattr(file, name, &mut value) {
            Ok(n) => found.push((name.to_vec(), value[..n].to_vec())),
            // Removed since it was listed.
            Err(Errno::NODATA) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

/// Elsewhere: none.
#[cfg(not(target_os = "linux"))]
pub(crate) fn read(_: &File) -> rustix::io::Result<Xattrs> {
    Ok(Vec::new())
}

/// Sets one attribute.
#[cfg(target_os = "linux")]
pub(crate) fn write(file: &File, name: &[u8], value: &[u8]) -> std::io::Result<()> {
    rustix::fs::fsetxattr(file, name, value, rustix::fs::XattrFlags::empty()).map_err(Into::into)
}

/// Elsewhere: they cannot be set.
#[cfg(not(target_os = "linux"))]
pub(crate) fn write(_: &File, _: &[u8], _: &[u8]) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
