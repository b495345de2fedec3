/** How a backup looks on its way: its stages stream into each other, as on a server. */

import type { Job, StageState } from '$/lib/bindings/bindings';

import * as w from './world';

/** From which part of the whole to which each stage runs. */
const SPANS: readonly [number, number][] = [
  [0, 0.2],
  [0.2, 0.9],
  [0.05, 0.95],
  [0.08, 0.98],
  [0.98, 1],
];

/** Below this part nobody knows yet how much it will be. */
const KNOWN = 0.08;

/** `job` with `done` (0 to 1) of `total` bytes behind it. */
export function jobAt(job: Job, total: number, done: number): Job {
  const files = Math.round(total / (90 * w.KIB));
  const progress = {
    done_bytes: Math.round(total * done),
    total_bytes: done > KNOWN ? total : null,
    done_files: Math.round(files * done),
    total_files: done > KNOWN ? files : null,
  };
  const stages = job.stages.map((stage, i) => {
    const [from, until] = SPANS[i] ?? [0, 1];
    const part = Math.max(0, Math.min(1, (done - from) / (until - from)));
    const state: StageState = done >= until ? 'COMPLETED' : done >= from ? 'RUNNING' : 'PENDING';
    return {
      ...stage,
      state,
      message: state === 'COMPLETED' ? (w.MESSAGES[stage.name] ?? null) : null,
      started_at: stage.started_at ?? (state === 'PENDING' ? null : w.ago(0)),
      finished_at: stage.finished_at ?? (state === 'COMPLETED' ? w.ago(0) : null),
      progress:
        stage.name === 'cleanup'
          ? w.noProgress()
          : { ...progress, done_bytes: Math.round(total * part), total_bytes: total },
    };
  });
  return { ...job, progress, stages };
}

/** `job` completed, with the snapshot it left. */
export function jobEnded(job: Job, snapshotId: string): Job {
  return {
    ...job,
    state: 'COMPLETED',
    finished_at: w.ago(0),
    snapshot_id: snapshotId,
    providers: job.providers.map((outcome) => ({ ...outcome, stored: true })),
  };
}
