//! Makes archives the writer would never make: any tar, any index.

use std::{io::Write, iter};

use backupd_archive::Keypair;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub struct Forged {
    pub key: Keypair,
    pub archive: Vec<u8>,
    pub index: Vec<u8>,
}

/// A tar being made, with the index line of each entry.
#[derive(Default)]
pub struct Forger {
    tar: Vec<u8>,
    pub entries: Vec<Value>,
}

impl Forger {
    /// An entry that tar and index agree about, whatever it says.
    pub fn entry(
        &mut self,
        kind: u8,
        path: &[u8],
        link: Option<&[u8]>,
        content: &[u8],
    ) -> &mut Self {
        let offset = self.tar.len();
        self.raw_header(kind, path, link, content.len() as u64);
        self.tar.extend_from_slice(content);
        self.pad();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut line = json!({
            "path": text(path), "size": content.len(), "mode": 0o644, "mtime": 0, "uid": 0, "gid": 0,
            "offset": offset,
        });
        line["type"] = match kind {
            b'5' => "directory",
            b'2' => "symlink",
            b'1' => "hardlink",
            _ => "file",
        }
        .into();
        if let Some(link) = link {
            line["link"] = text(link).into();
        }
        if line["type"] == "file" {
            line["sha256"] = hex::encode(Sha256::digest(content)).into();
            line["linked"] = true.into();
        }
        self.entries.push(line);
        self
    }

    pub fn file(&mut self, path: &str, content: &[u8]) -> &mut Self {
        self.entry(b'0', path.as_bytes(), None, content)
    }

    pub fn folder(&mut self, path: &str) -> &mut Self {
        self.entry(b'5', path.as_bytes(), None, b"")
    }

    pub fn symlink(&mut self, path: &str, to: &str) -> &mut Self {
        self.entry(b'2', path.as_bytes(), Some(to.as_bytes()), b"")
    }

    pub fn hardlink(&mut self, path: &str, to: &str) -> &mut Self {
        self.entry(b'1', path.as_bytes(), Some(to.as_bytes()), b"")
    }

    pub fn raw_header(&mut self, kind: u8, path: &[u8], link: Option<&[u8]>, size: u64) {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        if let Some(link) = link {
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        }
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.tar.extend_from_slice(header.as_bytes());
    }

    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.tar.extend_from_slice(bytes);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.tar.resize(self.tar.len().next_multiple_of(512), 0);
    }

    /// Packs it as the writer does, with an honest frame table.
    pub fn forge(&self) -> Forged {
        self.forge_with(|_, _| ())
    }

    /// Packs it, but for what `tamper` does to the zstd stream and the lines of the index. The
    /// size of the archive is filled in where the last line leaves it out.
    pub fn forge_with(&self, tamper: impl FnOnce(&mut Vec<u8>, &mut Vec<Value>)) -> Forged {
        let key = Keypair::generate();
        let tar = [&self.tar[..], &[0; 1024]].concat();
        let mut zstd = Vec::new();
        let mut lines =
            vec![json!({"header": {"format": 1, "created_at": "2026-01-01T00:00:00Z"}})];
        for (n, raw) in tar.chunks(2 << 20).enumerate() {
            let frame = zstd::bulk::compress(raw, 3).unwrap();
            lines.push(json!({"frame": {
                "raw_offset": n * (2 << 20), "raw_len": raw.len(), "offset": zstd.len(), "len": frame.len(),
            }}));
            zstd.extend_from_slice(&frame);
        }
        let frames = lines.len() - 1;
        lines.extend(self.entries.iter().map(|entry| json!({"entry": entry})));
        lines.push(json!({"end": {
            "entries": self.entries.len(), "frames": frames, "tar_bytes": tar.len(),
            "zstd_bytes": zstd.len(),
        }}));
        tamper(&mut zstd, &mut lines);
        let archive = seal(&key, &zstd);
        for line in &mut lines {
            if let Some(Value::Object(end)) = line.get_mut("end") {
                end.entry("archive_bytes").or_insert(archive.len().into());
            }
        }
        let index: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let index = seal(&key, &zstd::bulk::compress(index.as_bytes(), 3).unwrap());
        Forged {
            key,
            archive,
            index,
        }
    }
}

fn seal(key: &Keypair, content: &[u8]) -> Vec<u8> {
    let recipient = key.recipient();
    let encryptor = age::Encryptor::with_recipients(iter::once(&recipient as _)).unwrap();
    let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}
