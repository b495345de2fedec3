//! What the master itself does and that takes long: restores to this computer, verifications.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use backupd_base::{Code, Context as _, Error, Result, SnapshotId};
use backupd_protocol::Progress;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::view::{MasterEvent, TaskState, TaskView};

/// Finished tasks remembered for the interface.
const KEPT: usize = 50;
/// Progress is told no more often.
const STEP: Duration = Duration::from_millis(250);

/// Every task since the start, oldest first.
pub struct Tasks {
    list: Arc<Mutex<VecDeque<Listed>>>,
    events: broadcast::Sender<MasterEvent>,
}

struct Listed {
    view: TaskView,
    cancel: CancellationToken,
}

/// What a task came to.
pub struct Outcome {
    /// In a sentence.
    pub message: String,
    /// The folder it landed in.
    pub landed_in: Option<String>,
}

/// What a running task may say and must ask. From any thread.
#[derive(Clone)]
pub struct Handle {
    id: String,
    list: Arc<Mutex<VecDeque<Listed>>>,
    events: broadcast::Sender<MasterEvent>,
    cancel: CancellationToken,
    told: Arc<Mutex<Option<Instant>>>,
}

impl Tasks {
    pub fn new(events: broadcast::Sender<MasterEvent>) -> Self {
        Self {
            list: Arc::default(),
            events,
        }
    }

    /// Enters a task in the list; the caller runs it and ends it with [`Handle::end`].
    pub fn begin(&self, kind: &str, title: String, snapshot_id: SnapshotId) -> Handle {
        let view = TaskView {
            id: uuid::Uuid::now_v7().to_string(),
            kind: kind.to_owned(),
            title,
            snapshot_id,
            state: TaskState::Running,
            progress: Progress::default(),
            message: None,
            landed_in: None,
            error: None,
        };
        let handle = Handle {
            id: view.id.clone(),
            list: self.list.clone(),
            events: self.events.clone(),
            cancel: CancellationToken::new(),
            told: Arc::default(),
        };
        self.events
            .send(MasterEvent::TaskChanged(view.clone()))
            .ok();
        let mut list = locked(&self.list);
        list.push_back(Listed {
            view,
            cancel: handle.cancel.clone(),
        });
        while list.len() > KEPT {
            let Some(done) = list.iter().position(|t| t.view.state != TaskState::Running) else {
                break;
            };
            list.remove(done);
        }
        handle
    }

    /// Newest first.
    pub fn list(&self) -> Vec<TaskView> {
        let list = locked(&self.list);
        list.iter().rev().map(|t| t.view.clone()).collect()
    }

    /// Asks a task to stop. One that has ended stays as it is.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn cancel(&self, id: &str) -> Result<()> {
        let list = locked(&self.list);
        let task = list.iter().find(|t| t.view.id == id);
        task.with_context(|| format!("no task {id}"))?
            .cancel
            .cancel();
        Ok(())
    }

    /// Asks all to stop.
    pub fn cancel_all(&self) {
        for task in locked(&self.list).iter() {
            task.cancel.cancel();
        }
    }
}

impl Handle {
    /// The task as it is.
    pub fn view(&self) -> Option<TaskView> {
        let list = locked(&self.list);
        let task = list.iter().find(|t| t.view.id == self.id);
        task.map(|t| t.view.clone())
    }

    /// Fails once the task was asked to stop.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::new(Code::Cancelled, "stopped on request"));
        }
        Ok(())
    }

    /// Says how far the task is, and fails once it was asked to stop.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn progress(&self, progress: Progress) -> Result<()> {
        self.check()?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= STEP) {
            *told = Some(Instant::now());
            self.change(|view| view.progress = progress);
        }
        Ok(())
    }

    /// Ends the task. The last progress counts as all of it.
    pub fn end(&self, outcome: Result<Outcome>, last: Option<Progress>) {
        self.change(|view| {
            if let Some(last) = last {
                view.progress = last;
            }
            match outcome {
                Ok(outcome) => {
                    view.state = TaskState::Completed;
                    view.message = Some(outcome.message);
                    view.landed_in = outcome.landed_in;
                }
                Err(error) if error.code() == Code::Cancelled => {
                    view.state = TaskState::Cancelled;
                }
                Err(error) => {
                    view.state = TaskState::Failed;
                    view.error = Some(error.into());
                }
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut TaskView)) {
        let mut list = locked(&self.list);
        if let Some(task) = list.iter_mut().find(|t| t.view.id == self.id) {
            change(&mut task.view);
            let event = MasterEvent::TaskChanged(task.view.clone());
            self.events.send(event).ok();
        }
    }
}

fn locked(list: &Mutex<VecDeque<Listed>>) -> MutexGuard<'_, VecDeque<Listed>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> (Tasks, broadcast::Receiver<MasterEvent>) {
        let (events, heard) = broadcast::channel(16);
        (Tasks::new(events), heard)
    }

    fn states(heard: &mut broadcast::Receiver<MasterEvent>) -> Vec<TaskState> {
        std::iter::from_fn(|| heard.try_recv().ok())
            .map(|event| match event {
                MasterEvent::TaskChanged(view) => view.state,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_cancelled_task_hears_of_it_at_its_next_step() {
        let (tasks, mut heard) = tasks();
        let handle = tasks.begin("verify", "Verify".into(), SnapshotId::new());
        handle.progress(Progress::default()).unwrap();
        tasks.cancel(&tasks.list()[0].id).unwrap();
        let stopped = handle.progress(Progress::default()).unwrap_err();
        assert_eq!(stopped.code(), Code::Cancelled);
        handle.end(Err(stopped), None);
        assert_eq!(states(&mut heard).last(), Some(&TaskState::Cancelled));
        assert_eq!(tasks.cancel("x").unwrap_err().code(), Code::NotFound);
    }

    #[test]
    fn progress_is_told_now_and_then_and_the_end_always() {
        let (tasks, mut heard) = tasks();
        let handle = tasks.begin("restore", "Restore".into(), SnapshotId::new());
        for _ in 0..1000 {
            handle.progress(Progress::default()).unwrap();
        }
        handle.end(
            Ok(Outcome {
                message: "Done.".into(),
                landed_in: Some("/tmp/x".into()),
            }),
            None,
        );
        let heard = states(&mut heard);
        assert!(heard.len() <= 4, "{heard:?}");
        assert_eq!(heard.last(), Some(&TaskState::Completed));
    }

    #[test]
    fn running_tasks_are_never_dropped_from_the_list() {
        let (tasks, _heard) = tasks();
        let running = tasks.begin("restore", "Long".into(), SnapshotId::new());
        for _ in 0..KEPT * 2 {
            let task = tasks.begin("verify", "Short".into(), SnapshotId::new());
            task.end(Err(Error::new(Code::Corrupt, "x")), None);
        }
        assert!(running.view().is_some());
        assert_eq!(tasks.list().len(), KEPT);
    }
}
