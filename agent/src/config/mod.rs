//! What the agent is told before it starts: the environment over the file over the defaults.
//! Everything is parsed and checked here, before anything is opened or bound; a wrong value is
//! refused with its name, itself, and what is allowed.
//!
//! Deliberately not here: secrets. A store's credentials are in a file of their own.

mod file;
mod setting;

pub use file::{ProviderEntry, ProviderPlace, SourceEntry, THIS_SERVER};

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use backupd_base::{Code, Context, Error, Result};
use setting::{Setting, Settings};

/// Where the file is unless `BACKUPD_CONFIG` says otherwise.
pub const DEFAULT_FILE: &str = "/etc/backupd/config";

/// What the agent is here for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Protects this server; answers a master once it is enrolled.
    Node,
}

/// Everything the agent is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `None`: nobody said. The agent runs as a node and says how to go on.
    pub mode: Option<Mode>,
    /// The file this came from, where there is one.
    pub file: Option<PathBuf>,
    /// Database, keys, the control socket, and the store of this server.
    pub data_dir: PathBuf,
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Jobs that may work the disk at a time.
    pub max_io: usize,
    /// Jobs that may upload at a time.
    pub max_network: usize,
    /// Threads that may compress at a time.
    pub max_cpu: usize,
    /// All uploads together, megabits per second, as lines are sold; 0 is unlimited.
    pub max_bandwidth_mbps: u64,
    /// age recipients of the sources below: the owner's and the recovery kit's.
    pub recipients: Vec<String>,
    /// Stores configured by hand.
    pub providers: Vec<ProviderEntry>,
    /// Sources configured by hand.
    pub sources: Vec<SourceEntry>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: None,
            file: None,
            // Where the file system hierarchy keeps a daemon's state.
            data_dir: PathBuf::from("/var/lib/backupd"),
            // A master dials in from wherever the laptop is; nothing answers without both keys.
            host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: backupd_protocol::pairing::DEFAULT_PORT,
            // One job reads while another one ends; more only makes a disk seek.
            max_io: 2,
            // Two uploads fill a line even when one waits for its store.
            max_network: 2,
            // They run at low priority: a site that wants the processor has it.
            max_cpu: std::thread::available_parallelism()
                .map_or(2, usize::from)
                .min(64),
            // The admin knows the line; a guess would only make backups slow.
            max_bandwidth_mbps: 0,
            recipients: Vec::new(),
            providers: Vec::new(),
            sources: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the process's environment and the file it names. `mode` is the command line's.
    ///
    /// # Errors
    /// `Invalid` for anything that is not allowed.
    pub fn load(mode: Option<&str>) -> Result<Self> {
        Self::from_environment(mode, &|name| std::env::var(name).ok())
    }

    /// [`Config::load`] with the environment given.
    ///
    /// # Errors
    /// `Invalid` for anything that is not allowed.
    pub fn from_environment(
        mode: Option<&str>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let named = environment("BACKUPD_CONFIG").map(PathBuf::from);
        let path = named.clone().unwrap_or_else(|| DEFAULT_FILE.into());
        let text = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => None,
            Err(e) => {
                return Err(Error::caused(
                    format!("read the configuration {}", path.display()),
                    e,
                ));
            }
        };
        Self::parse(
            mode,
            environment,
            text.as_deref().map(|text| (&*path, text)),
        )
    }

    fn parse(
        mode: Option<&str>,
        environment: &dyn Fn(&str) -> Option<String>,
        file: Option<(&Path, &str)>,
    ) -> Result<Self> {
        let table: toml::Table = match file {
            Some((path, text)) => text
                .parse()
                .with_context(|| format!("read the configuration {}", path.display()))
                .map_err(|e| e.with_code(Code::Invalid))?,
            None => toml::Table::new(),
        };
        let mut settings = Settings::new(environment, file.map(|(path, _)| path), table);
        let defaults = Self::default();
        let mode = match mode {
            Some(text) => Some(Setting::new("--mode", text)),
            None => settings.take("mode")?,
        };
        let config = Self {
            mode: mode.map(mode_of).transpose()?,
            file: file.map(|(path, _)| path.to_owned()),
            data_dir: settings
                .take("data_dir")?
                .map(|s| s.absolute_path())
                .transpose()?
                .unwrap_or(defaults.data_dir),
            host: settings
                .take("host")?
                .map(|s| s.parse("an IPv4 or IPv6 address, such as 0.0.0.0 or ::"))
                .transpose()?
                .unwrap_or(defaults.host),
            port: settings
                .take("port")?
                .map(|s| s.whole(0..=65_535))
                .transpose()?
                .map_or(defaults.port, |n| {
                    u16::try_from(n).expect("within the range asked for")
                }),
            max_io: places(settings.take("max_io")?, defaults.max_io)?,
            max_network: places(settings.take("max_network")?, defaults.max_network)?,
            max_cpu: places(settings.take("max_cpu")?, defaults.max_cpu)?,
            max_bandwidth_mbps: settings
                .take("max_bandwidth_mbps")?
                .map(|s| s.whole(0..=1_000_000))
                .transpose()?
                .unwrap_or(defaults.max_bandwidth_mbps),
            recipients: settings.take_value("recipients")?.unwrap_or_default(),
            providers: settings.take_value("provider")?.unwrap_or_default(),
            sources: settings.take_value("source")?.unwrap_or_default(),
        };
        settings.finish()?;
        file::check(&config)?;
        Ok(config)
    }
}

fn mode_of(setting: Setting) -> Result<Mode> {
    match setting.text() {
        "node" => Ok(Mode::Node),
        _ => Err(setting.refused("node (a master is the desktop application)")),
    }
}

fn places(setting: Option<Setting>, default: usize) -> Result<usize> {
    let places = setting.map(|s| s.whole(1..=64)).transpose()?;
    Ok(places.map_or(default, |n| {
        usize::try_from(n).expect("within the range asked for")
    }))
}

#[cfg(test)]
mod tests;
