//! The life of an agent: build (nothing bound), spawn, drain.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use backupd_base::{Code, Context, Error, Result};
use backupd_protocol::{Severity, pairing::WINDOW};
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinSet,
    time::timeout,
};

use crate::{
    agent::Agent,
    config::Config,
    control::{WindowAnswer, socket_path},
    http,
    jobs::Backoff,
    journal::Entry,
    retention, stats,
};

/// Jobs get this long to clean up after themselves: aborting an upload is a call to its store.
const DRAIN: Duration = Duration::from_secs(60);

/// An agent that is built and does nothing yet.
pub struct App {
    config: Config,
    agent: Arc<Agent>,
    router: Router,
}

/// An agent at work.
pub struct Running {
    agent: Arc<Agent>,
    router: Router,
    tasks: JoinSet<Result<()>>,
    socket: Option<PathBuf>,
    first_window: Option<WindowAnswer>,
}

impl App {
    /// Opens what `config` names.
    ///
    /// # Errors
    /// As [`Agent::open`].
    pub fn build(config: Config) -> Result<Self> {
        let agent = Arc::new(Agent::open(&config)?);
        let router = http::router(agent.clone());
        Ok(Self {
            config,
            agent,
            router,
        })
    }

    /// Starts the daemon: listens, samples, runs jobs, sees to schedules, opens the first pairing window.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn spawn(self) -> Result<Running> {
        let (host, port) = (self.config.host, self.config.port);
        let listener = TcpListener::bind((host, port)).await.with_context(|| {
            format!("listen on {host} port {port} (BACKUPD_HOST, BACKUPD_PORT)")
        })?;
        let address = listener.local_addr().context("listen")?;
        self.agent.listens(address);
        let socket = socket_path(self.agent.store.dir());
        let control = bind_control(&socket)?;
        self.agent.queue.retry_failures(Backoff::default());
        let mut running = self.spawn_jobs();
        running.socket = Some(socket);
        let agent = running.agent.clone();
        let journal = agent.journal.clone();
        blocking(move || journal.record(started())).await?;
        let pairing = agent.pairing.clone();
        let opened = blocking(move || pairing.open_first(WINDOW)).await?;
        running.first_window = opened.map(|opened| WindowAnswer::new(&opened, address, &agent));
        let tasks = &mut running.tasks;
        let (a, router) = (agent.clone(), running.router.clone());
        tasks.spawn(async move {
            http::serve_tls(listener, a, router).await;
            Ok(())
        });
        let (a, router) = (agent.clone(), running.router.clone());
        tasks.spawn(async move {
            http::serve_control(control, a, router).await;
            Ok(())
        });
        let (scheduler, shutdown) = (agent.scheduler.clone(), agent.shutdown.clone());
        tasks.spawn(async move { scheduler.run(shutdown).await });
        let a = agent.clone();
        tasks.spawn(async move {
            a.pairing.watch(a.shutdown.clone()).await;
            Ok(())
        });
        tasks.spawn(async move {
            stats::sample(&agent).await;
            Ok(())
        });
        Ok(running)
    }

    /// Runs jobs and nothing else: for a command without a daemon. The router is served in-process.
    #[must_use]
    pub fn spawn_jobs(self) -> Running {
        let mut running = self.idle();
        let agent = &running.agent;
        let (queue, shutdown) = (agent.queue.clone(), agent.shutdown.clone());
        running
            .tasks
            .spawn(async move { queue.run(shutdown).await });
        let (parts, shutdown) = (agent.parts.clone(), agent.shutdown.clone());
        running.tasks.spawn(async move {
            retention::run(&parts, shutdown).await;
            Ok(())
        });
        running
    }

    /// Runs nothing: for a command that only looks.
    #[must_use]
    pub fn idle(self) -> Running {
        Running {
            agent: self.agent,
            router: self.router,
            tasks: JoinSet::new(),
            socket: None,
            first_window: None,
        }
    }
}

impl Running {
    /// Its parts.
    #[must_use]
    pub fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }

    /// The API, whoever serves it.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The window that was opened because this was the first start ever.
    #[must_use]
    pub fn first_window(&self) -> Option<&WindowAnswer> {
        self.first_window.as_ref()
    }

    /// Returns when a part of it ends by itself, which none should.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn failed(&mut self) -> Result<()> {
        match self.tasks.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(e)) => Err(Error::caused("run the agent", e)),
            None => Ok(()),
        }
    }

    /// Takes nothing new, lets what is under way end or clean up, and stops.
    ///
    /// # Errors
    /// `Timeout` when something would not end; it is cut off then.
    pub async fn drain(mut self) -> Result<()> {
        self.agent.shutdown.cancel();
        if let Some(socket) = &self.socket {
            let _ = fs::remove_file(socket);
        }
        let ended = timeout(DRAIN, async {
            let mut outcome = Ok(());
            while let Some(task) = self.tasks.join_next().await {
                outcome = outcome.and(
                    task.map_err(|e| Error::caused("stop the agent", e))
                        .flatten(),
                );
            }
            outcome
        });
        let outcome = ended.await;
        self.tasks.shutdown().await;
        outcome.unwrap_or_else(|_| {
            Err(Error::new(
                Code::Timeout,
                "stop the agent: something would not end within a minute",
            ))
        })
    }
}

fn started() -> Entry {
    Entry::new("agent.started", Severity::Info, "The agent started.")
        .with("version", crate::about::VERSION)
}

/// The folder is this process's alone (the store holds its lock): a socket there is a dead one.
fn bind_control(path: &PathBuf) -> Result<UnixListener> {
    let bind = || -> io::Result<UnixListener> {
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        // Between the two the folder's own mode keeps others out.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    bind().with_context(|| format!("listen on {}", path.display()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("start the agent")?
}
