/** What can be said of a job by looking at it. */

import type { Job, JobState, Stage } from '$/lib/bindings/bindings';
import type { Tone } from '$/design/tone';

/** It will not change any more. */
export function isFinal(state: JobState): boolean {
  return state === 'COMPLETED' || state === 'FAILED' || state === 'CANCELLED';
}

/** Attempts that a backup gets by itself, the first included. */
export const MOST_ATTEMPTS = 4;

/** A retry that waits for its time: it gives way to whatever is asked for. */
export function isWaiting(job: Job): boolean {
  return job.state === 'PENDING' && !!job.not_before;
}

/** A backup that failed or was stopped, or whose retry waits, may be tried again at once. */
export function canRetry(job: Job): boolean {
  if (job.kind !== 'BACKUP') return false;
  return job.state === 'FAILED' || job.state === 'CANCELLED' || isWaiting(job);
}

/** How a job is shown: warnings and a store that was missed count. */
export function jobTone(job: Job): Tone {
  switch (job.state) {
    case 'PENDING':
    case 'CANCELLED':
      return 'wait';
    case 'RUNNING':
      return 'run';
    case 'FAILED':
      return 'bad';
    case 'COMPLETED':
      return job.warnings.length > 0 || missedStores(job).length > 0 ? 'warn' : 'ok';
  }
}

/** The stores a completed backup did not reach. */
export function missedStores(job: Job): Job['providers'] {
  if (job.kind !== 'BACKUP' || job.state !== 'COMPLETED') return [];
  return job.providers.filter(({ stored }) => !stored);
}

export const stageTone: Record<Stage['state'], Tone> = {
  PENDING: 'wait',
  RUNNING: 'run',
  COMPLETED: 'ok',
  FAILED: 'bad',
  SKIPPED: 'wait',
};

/** The stage to name while a job runs: the last of those at work, since they stream into it. */
export function currentStage(job: Job): Stage | undefined {
  return job.stages.findLast((stage) => stage.state === 'RUNNING');
}

/** Milliseconds from `started` to `finished`, or to now. */
export function took(
  of: { started_at: string | null; finished_at: string | null },
  now: Date,
): number | undefined {
  if (!of.started_at) return undefined;
  const end = of.finished_at ? new Date(of.finished_at) : now;
  return Math.max(0, end.getTime() - new Date(of.started_at).getTime());
}

/** No later backup of its source is in `list`, which is newest first, but for its own waiting retry. */
export function isNewest(list: readonly Job[], job: Job): boolean {
  const same = (other: Job) => other.source_id === job.source_id && other.kind === job.kind;
  return list.find((other) => same(other) && !isWaiting(other))?.id === job.id;
}

/** `list` with `job` as it is now, newest first. */
export function withJob(list: readonly Job[], job: Job): Job[] {
  const at = list.findIndex(({ id }) => id === job.id);
  return at < 0 ? [job, ...list] : list.with(at, job);
}
