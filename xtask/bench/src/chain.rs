//! Programs connected by pipes, as a shell would connect them, but with every end looked at.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

/// Programs of which each reads what the one before it writes.
pub struct Chain {
    commands: Vec<Command>,
    output: Option<File>,
}

/// A started [`Chain`].
pub struct Running {
    /// In the order of the chain.
    pub links: Vec<Link>,
}

/// One program of a running chain.
pub struct Link {
    /// The process.
    pub child: Child,
    name: String,
    errors: File,
}

impl Chain {
    /// These programs, the first with an empty input, the last one's output thrown away.
    pub fn of(commands: impl IntoIterator<Item = Command>) -> Self {
        Self {
            commands: commands.into_iter().collect(),
            output: None,
        }
    }

    /// The same, with the last one's output in a new file.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn into_file(mut self, path: &std::path::Path) -> Result<Self> {
        let parent = path.parent().context("find the folder of the output")?;
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        self.output = Some(file);
        Ok(self)
    }

    /// Starts every program.
    ///
    /// # Errors
    /// When one cannot be started; those before it then end by themselves, their pipe being closed.
    pub fn start(self) -> Result<Running> {
        let mut links: Vec<Link> = Vec::new();
        let last = self.commands.len() - 1;
        let mut output = self.output;
        for (index, mut command) in self.commands.into_iter().enumerate() {
            let name = command.get_program().to_string_lossy().into_owned();
            let input = links
                .last_mut()
                .and_then(|link| link.child.stdout.take())
                .map_or_else(Stdio::null, Stdio::from);
            let errors = tempfile::tempfile().context("make a file for error messages")?;
            let copy = errors
                .try_clone()
                .context("make a file for error messages")?;
            command.stdin(input).stderr(copy);
            command.stdout(match (index == last, output.take()) {
                (false, kept) => {
                    output = kept;
                    Stdio::piped()
                }
                (true, Some(file)) => Stdio::from(file),
                (true, None) => Stdio::null(),
            });
            let child = command.spawn().with_context(|| format!("start {name}"))?;
            links.push(Link {
                child,
                name,
                errors,
            });
        }
        Ok(Running { links })
    }
}

impl Link {
    /// Fails, with what the program said, unless it ended well.
    ///
    /// # Errors
    /// When it did not.
    pub fn finish(&mut self) -> Result<()> {
        let status = self
            .child
            .wait()
            .with_context(|| format!("wait for {}", self.name))?;
        let mut said = String::new();
        if !status.success() {
            self.errors.rewind().context("read error messages")?;
            self.errors
                .read_to_string(&mut said)
                .context("read error messages")?;
        }
        ensure!(status.success(), "{}: {status}: {}", self.name, said.trim());
        Ok(())
    }
}

impl Drop for Link {
    /// A program that outlives its measurement would spoil the next one.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
