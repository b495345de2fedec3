/** What needs somebody, and the verdict in a sentence. Pure: the same overview, the same words. */

import type { NodeJob, NodeView, OverviewView, SourceView } from '$/lib/bindings/bindings';
import { ago } from '$/lib/format';
import { missedStores } from '$/lib/jobs/job';
import { m } from '$/lib/messages';
import type { Tone } from '$/design/tone';

/** One thing to see to. */
export type Need = { key: string; tone: Tone; title: string; detail?: string } & (
  | { kind: 'source'; source: SourceView }
  | { kind: 'node'; node: NodeView }
  | { kind: 'restore'; restore: NodeJob }
);

/** The worst first; within that in the order of the overview. */
export function needsOf(overview: OverviewView, restored: readonly NodeJob[]): Need[] {
  const busy = new Set(overview.running.map(({ job }) => job.source_id));
  const away = overview.nodes.filter(({ state }) => state === 'offline' || state === 'refused');
  const needs: Need[] = [
    ...restored.map((restore) => restoreNeed(restore)),
    ...away.map(nodeNeed),
    ...overview.sources
      // A source whose node is away has nothing of its own to be done about.
      .filter((s) => s.protection === 'failed' || !away.some(({ id }) => id === s.node_id))
      .filter(
        (s) => s.protection !== 'protected' && !(s.protection === 'waiting' && busy.has(s.id)),
      )
      .map(sourceNeed),
  ];
  const rank: Record<Tone, number> = { bad: 0, warn: 1, run: 2, wait: 3, ok: 4 };
  return needs.sort((a, b) => rank[a.tone] - rank[b.tone]);
}

function sourceNeed(source: SourceView): Need {
  const { name, protection, last_job: job } = source;
  const of = { kind: 'source' as const, source, key: `source-${source.id}` };
  if (protection === 'failed') {
    return { ...of, tone: 'bad', title: m.needs.failed(name), detail: job?.error?.message };
  }
  if (protection === 'waiting') return { ...of, tone: 'wait', title: m.needs.never(name) };
  if (source.problem) {
    return { ...of, tone: 'warn', title: m.needs.chain(name), detail: source.problem.message };
  }
  if (job?.state === 'CANCELLED') return { ...of, tone: 'warn', title: m.needs.cancelled(name) };
  const missed = job && missedStores(job)[0];
  if (missed) {
    return { ...of, tone: 'warn', title: m.needs.notStored(name), detail: missed.error?.message };
  }
  if (job && job.warnings.length > 0) {
    const title = m.needs.warned(name, job.warnings.length);
    return { ...of, tone: 'warn', title, detail: job.warnings[0] };
  }
  return { ...of, tone: 'warn', title: m.needs.attention(name) };
}

function nodeNeed(node: NodeView): Need {
  const words = node.state === 'refused' ? m.needs.refused : m.needs.offline;
  return {
    kind: 'node',
    node,
    key: `node-${node.id}`,
    tone: 'bad',
    title: words(node.name),
    detail: node.problem?.message,
  };
}

function restoreNeed(restore: NodeJob): Need {
  const key = `restore-${restore.job.id}`;
  return {
    kind: 'restore',
    restore,
    key,
    tone: 'warn',
    title: m.needs.keep(restore.job.source_name),
  };
}

/** The answer to "am I safe?". */
export interface Verdict {
  tone: Tone;
  sentence: string;
}

export function verdictOf({ sources, nodes, running }: OverviewView, now: Date): Verdict {
  if (nodes.length === 0) return { tone: 'wait', sentence: m.overview.nothingYet };
  if (sources.length === 0) return { tone: 'wait', sentence: m.overview.noSources };
  const needing = sources.filter(
    ({ protection }) => protection === 'failed' || protection === 'attention',
  );
  const waiting = sources.filter(({ protection }) => protection === 'waiting');
  const last = lastBackup(sources, now);
  const join = (sentence: string) => [sentence, ...last].join(' · ');
  if (needing.length > 0) {
    const failed = needing.some(({ protection }) => protection === 'failed');
    return {
      tone: failed ? 'bad' : 'warn',
      sentence: join(m.overview.needYou(needing.length, sources.length)),
    };
  }
  const away = nodes.filter(({ state }) => state === 'offline' || state === 'refused');
  if (away.length > 0) {
    return { tone: 'warn', sentence: join(m.overview.nodesNeedYou(away.length)) };
  }
  const begun = waiting.every(({ id }) => running.some(({ job }) => job.source_id === id));
  if (waiting.length > 0 && begun) {
    return { tone: 'run', sentence: join(m.overview.firstRunning(waiting.length)) };
  }
  if (waiting.length > 0) {
    return { tone: 'wait', sentence: join(m.overview.waiting(waiting.length)) };
  }
  return { tone: 'ok', sentence: join(m.overview.allProtected(sources.length)) };
}

function lastBackup(sources: readonly SourceView[], now: Date): string[] {
  const newest = sources
    .flatMap(({ last_snapshot }) => (last_snapshot ? [last_snapshot.created_at] : []))
    .map((at) => new Date(at))
    .sort((a, b) => b.getTime() - a.getTime())[0];
  return newest ? [m.overview.lastBackup(ago(newest, now))] : [];
}
