import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { useBackend } from '$/lib/backend';
import { FakeBackend } from '$/lib/backend/fake';
import * as w from '$/lib/backend/fake/world';
import type { Job, SourceView } from '$/lib/bindings/bindings';
import { NodeJobs } from '$/lib/jobs/jobs.state.svelte';
import { startEvents } from '$/lib/shell/events';

import JobList from './JobList.svelte';

const failure = { code: 'unavailable' as const, message: 'the store is away', stage: null };

describe('a failed job', () => {
  let fake: FakeBackend;
  let source: SourceView;
  const user = userEvent.setup();

  let end: () => void;

  beforeEach(async () => {
    fake = new FakeBackend();
    useBackend(fake);
    source = fake.world.sources.find(({ node_id }) =>
      fake.world.nodes.some(({ id, state }) => id === node_id && state === 'online'),
    ) as SourceView;
    end = await startEvents();
  });

  afterEach(() => end());

  /** The jobs of the source's node, newest first. */
  function shows(...jobs: Job[]) {
    fake.world.jobs.set(source.node_id, jobs);
    const state = new NodeJobs(source.node_id);
    state.start();
    render(JobList, { jobs: state });
  }

  const row = async (job: Job) => {
    await screen.findByTestId('jobs');
    return document.querySelector<HTMLElement>(`[data-job="${job.id}"]`) as HTMLElement;
  };

  it('is tried again by a button, as a job of its own', async () => {
    const failed = w.job(source, { state: 'FAILED', error: failure });
    shows(failed);
    await user.click(within(await row(failed)).getByTestId('job-retry'));
    const made = fake.world.jobs.get(source.node_id)?.[0];
    expect(made).toMatchObject({ retry_of: failed.id, attempt: 2, not_before: null });
    expect(fake.world.jobs.get(source.node_id)).toHaveLength(2);
  });

  it('says when it is tried again by itself, and need not be waited for', async () => {
    const failed = w.job(source, { state: 'FAILED', error: failure });
    const at = new Date(2026, 10, 21, 3, 12);
    const waiting = w.job(source, {
      retry_of: failed.id,
      attempt: 2,
      not_before: at.toISOString(),
    });
    shows(waiting, failed);
    const shown = within(await row(waiting));
    expect(shown.getByTestId('job-retries-at').textContent?.trim()).toBe(
      'Retries at 03:12, attempt 2 of 4',
    );
    await user.click(shown.getByTestId('job-retry'));
    const jobs = fake.world.jobs.get(source.node_id);
    expect(jobs?.find(({ id }) => id === waiting.id)?.not_before).toBeNull();
    expect(jobs).toHaveLength(2);
  });

  it('whose retry was stopped can be tried again', async () => {
    const failed = w.job(source, { state: 'FAILED', error: failure });
    const waiting = w.job(source, { retry_of: failed.id, attempt: 2, not_before: w.ago(-60_000) });
    shows(waiting, failed);
    await user.click(within(await row(waiting)).getByTestId('job-stop'));
    await expect.poll(async () => (await row(waiting)).dataset['state']).toBe('CANCELLED');
    within(await row(waiting)).getByTestId('job-retry');
    expect(within(await row(failed)).queryByTestId('job-retry')).toBeNull();
  });

  it('is left alone once a newer backup was made, and so is a restore', async () => {
    const failed = w.job(source, { state: 'FAILED', error: failure });
    const restore = w.job(source, { kind: 'RESTORE', state: 'FAILED', error: failure });
    const done = w.job(source, { state: 'COMPLETED' });
    shows(done, restore, failed);
    await row(done);
    expect(screen.queryByTestId('job-retry')).toBeNull();
  });

  it('says why it cannot be tried again', async () => {
    const failed = w.job(source, { state: 'FAILED', error: failure });
    shows(failed);
    const shown = within(await row(failed));
    const node = fake.world.nodes.find(({ id }) => id === source.node_id);
    if (node) node.state = 'offline';
    await user.click(shown.getByTestId('job-retry'));
    expect((await shown.findByTestId('error')).textContent).toContain('Could not try it again');
  });
});
