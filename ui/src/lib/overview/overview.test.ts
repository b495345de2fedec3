import { beforeEach, describe, expect, it } from 'vitest';

import { useBackend } from '$/lib/backend';
import { FakeBackend } from '$/lib/backend/fake';
import * as w from '$/lib/backend/fake/world';
import type { OverviewView } from '$/lib/bindings/bindings';
import { speeds } from '$/lib/jobs/speeds.svelte';

import { needsOf, verdictOf } from './needs';
import { OverviewState } from './overview.state.svelte';

const now = new Date();
const node = w.node('web', 'web:8000');
const store = w.store('Off-site', { type: 'local', path: '/srv' }, null);

function sources(...protections: OverviewView['sources'][number]['protection'][]): OverviewView {
  const made = protections.map((protection, i) => {
    const source = w.source(node, `site-${i}`, `/var/www/${i}`, [store]);
    const { job, snapshot } = w.finished(source, node.name, 740_000, w.GIB, 1);
    const done =
      protection === 'waiting' ? {} : { last_job: job, last_snapshot: snapshot, snapshots: 1 };
    return { ...source, ...done, protection };
  });
  return { nodes: [node], sources: made, running: [] };
}

describe('the verdict', () => {
  const say = (overview: OverviewView) => verdictOf(overview, now);

  it('answers in a sentence a person would say', () => {
    expect(say(sources('protected', 'protected'))).toEqual({
      tone: 'ok',
      sentence: 'All 2 sources are protected · last backup 12 min ago',
    });
    expect(say(sources('protected', 'failed', 'attention')).sentence).toMatch(
      /^2 of 3 sources need you/,
    );
    expect(say(sources('protected', 'attention')).sentence).toMatch(/^1 of 2 sources needs you/);
    expect(say(sources('failed')).sentence).toMatch(/^Your source needs you/);
  });

  it('is as bad as the worst', () => {
    expect(say(sources('protected', 'failed', 'attention')).tone).toBe('bad');
    expect(say(sources('protected', 'attention')).tone).toBe('warn');
    expect(say(sources('protected', 'waiting')).tone).toBe('wait');
    expect(say({ nodes: [], sources: [], running: [] }).tone).toBe('wait');
  });

  it('never calls it well while a server is away', () => {
    const overview = sources('protected');
    const gone = { ...overview, nodes: [{ ...node, state: 'offline' as const }] };
    expect(say(gone).tone).toBe('warn');
  });

  it('says that first backups are under way', () => {
    const overview = sources('waiting');
    const [source] = overview.sources;
    if (!source) throw new Error('there is one');
    const running = [{ node_id: node.id, job: w.job(source, { state: 'RUNNING' }) }];
    expect(say({ ...overview, running }).tone).toBe('run');
    expect(needsOf({ ...overview, running }, [])).toEqual([]);
  });
});

describe('what needs somebody', () => {
  it('stands with the worst first, and says why', () => {
    const { world } = new FakeBackend();
    const overview = { nodes: world.nodes, sources: world.sources, running: [] };
    const needs = needsOf(overview, []);
    expect(needs.map(({ tone }) => tone)).toEqual(['bad', 'bad', 'warn', 'wait']);
    expect(needs.map(({ title }) => title)).toEqual([
      'legacy does not answer',
      'The last backup of magazine.example failed',
      'Blog of the founders was backed up with 2 warnings',
      'events has no backup yet',
    ]);
    expect(needs[1]?.detail).toMatch(/AccessDenied/);
  });

  it('holds a restore in place until it is kept or undone', () => {
    const overview = sources('protected');
    const [source] = overview.sources;
    if (!source) throw new Error('there is one');
    const job = w.job(source, { kind: 'RESTORE', state: 'COMPLETED', can_undo: true });
    expect(needsOf(overview, [{ node_id: node.id, job }])).toMatchObject([
      { kind: 'restore', tone: 'warn' },
    ]);
  });
});

describe('the overview', () => {
  let fake: FakeBackend;
  let state: OverviewState;

  beforeEach(async () => {
    fake = new FakeBackend();
    useBackend(fake);
    state = new OverviewState();
    await state.reload();
  });

  it('follows a job without asking for everything again', () => {
    const [source] = fake.world.sources;
    if (!source) throw new Error('there is one');
    const asked = fake.calls.length;
    const job = w.job(source, { state: 'RUNNING' });
    state.heard({ node_id: source.node_id, job });
    expect(state.runningOf(source.id)?.job.id).toBe(job.id);
    state.heard({
      node_id: source.node_id,
      job: { ...job, progress: { ...job.progress, done_bytes: 7 } },
    });
    expect(state.running).toHaveLength(1);
    expect(state.runningOf(source.id)?.job.progress.done_bytes).toBe(7);
    state.heard({ node_id: source.node_id, job: { ...job, state: 'COMPLETED' } });
    expect(state.running).toEqual([]);
    expect(speeds.of(job.id)).toEqual({});
    expect(fake.calls.length).toBe(asked);
  });

  it('finds restores that wait for a word on every node', async () => {
    const [snapshot] = fake.world.snapshots;
    await fake.snapshotRestoreInPlace(snapshot?.id ?? '');
    await state.reload();
    expect(state.restored).toHaveLength(1);
    const [kept] = state.restored;
    await fake.restoreConfirm(kept?.node_id ?? '', kept?.job.id ?? '');
    await state.reload();
    expect(state.restored).toEqual([]);
  });
});
