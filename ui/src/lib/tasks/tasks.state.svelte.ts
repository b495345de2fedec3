/** The tasks of this session, newest first, until they are dismissed. */

import { SvelteSet } from 'svelte/reactivity';

import type { TaskView } from '$/lib/bindings/bindings';
import { speeds } from '$/lib/jobs/speeds.svelte';
import { on } from '$/lib/shell/events';

import { listTasks } from './tasks.api';

export class TasksState {
  #tasks = $state.raw<readonly TaskView[]>([]);
  readonly #dismissed = new SvelteSet<string>();

  get shown(): readonly TaskView[] {
    return this.#tasks.filter(({ id }) => !this.#dismissed.has(id));
  }

  get running(): readonly TaskView[] {
    return this.shown.filter(({ state }) => state === 'running');
  }

  /** A task as it is now. What a call answers may be older than what an event said meanwhile. */
  readonly heard = (task: TaskView): void => {
    const at = this.#tasks.findIndex(({ id }) => id === task.id);
    const known = this.#tasks[at];
    if (known && known.state !== 'running' && task.state === 'running') return;
    if (task.state === 'running') speeds.note(task.id, task.progress);
    else speeds.forget(task.id);
    this.#tasks = at < 0 ? [task, ...this.#tasks] : this.#tasks.with(at, task);
  };

  dismiss(id: string): void {
    this.#dismissed.add(id);
  }

  start(): () => void {
    listTasks().then(
      (tasks) => tasks.forEach(this.heard),
      // Tasks of before this page was loaded are lost from sight only.
      () => undefined,
    );
    return on('task_changed', this.heard);
  }
}

export const tasks = new TasksState();
