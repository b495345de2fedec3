import { describe, expect, it } from 'vitest';

import type { TaskState, TaskView } from '$/lib/bindings/bindings';

import { TasksState } from './tasks.state.svelte';

const task = (id: string, state: TaskState): TaskView => ({
  id,
  kind: 'restore',
  title: 'Restore shop.example',
  snapshot_id: 'snapshot',
  state,
  progress: { done_bytes: 0, total_bytes: null, done_files: 0, total_files: null },
  message: null,
  landed_in: null,
  error: null,
});

describe('a task', () => {
  it('that ended is not running again because of an older answer', () => {
    const tasks = new TasksState();
    tasks.heard(task('a', 'failed'));
    tasks.heard(task('a', 'running'));
    expect(tasks.shown.map(({ state }) => state)).toEqual(['failed']);
  });

  it('goes on in its place, the newest first', () => {
    const tasks = new TasksState();
    tasks.heard(task('a', 'running'));
    tasks.heard(task('b', 'running'));
    tasks.heard(task('a', 'completed'));
    expect(tasks.shown.map(({ id, state }) => `${id} ${state}`)).toEqual([
      'b running',
      'a completed',
    ]);
    expect(tasks.running.map(({ id }) => id)).toEqual(['b']);
  });
});
