//! What the master itself is doing.

use backupd_base::Result;

use crate::{Master, view::TaskView};

impl Master {
    /// The tasks since the start, newest first.
    ///
    /// # Errors
    /// None.
    pub async fn tasks_list(&self) -> Result<Vec<TaskView>> {
        Ok(self.core().tasks.list())
    }

    /// Asks a task to stop. It ends as cancelled and leaves nothing behind.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn task_cancel(&self, task_id: &str) -> Result<()> {
        self.core().tasks.cancel(task_id)
    }
}
