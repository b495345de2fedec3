/** The state of everything at once, kept true by events. One for the whole window: the sidebar,
 * the overview and the lists read the same. */

import type { NodeJob, NodeView, SourceView } from '$/lib/bindings/bindings';
import { isFinal, isWaiting } from '$/lib/jobs/job';
import { listJobs } from '$/lib/jobs/jobs.api';
import { speeds } from '$/lib/jobs/speeds.svelte';
import { clock } from '$/lib/shell/clock.svelte';
import { on, settle } from '$/lib/shell/events';
import { Resource } from '$/lib/shell/resource.svelte';

import { needsOf, verdictOf, type Need, type Verdict } from './needs';
import { getOverview } from './overview.api';

export class OverviewState {
  readonly resource = new Resource(getOverview);
  /** Restores in place whose former state is still kept. */
  #restored = $state.raw<NodeJob[]>([]);

  get sources(): SourceView[] {
    return this.resource.data?.sources ?? [];
  }

  get nodes(): NodeView[] {
    return this.resource.data?.nodes ?? [];
  }

  get running(): NodeJob[] {
    return this.resource.data?.running ?? [];
  }

  get restored(): NodeJob[] {
    return this.#restored;
  }

  get needs(): Need[] {
    return this.resource.data ? needsOf(this.resource.data, this.#restored) : [];
  }

  get verdict(): Verdict | undefined {
    return this.resource.data && verdictOf(this.resource.data, clock.now);
  }

  node(id: string): NodeView | undefined {
    return this.nodes.find((node) => node.id === id);
  }

  source(id: string): SourceView | undefined {
    return this.sources.find((source) => source.id === id);
  }

  /** The job of a source that is pending or running. */
  runningOf(sourceId: string): NodeJob | undefined {
    return this.running.find(({ job }) => job.source_id === sourceId);
  }

  readonly reload = async (): Promise<void> => {
    await this.resource.load();
    await this.#findRestored();
  };

  /** Loads, and follows what changes until the returned function is called. */
  start(): () => void {
    const soon = settle(this.reload);
    void this.reload();
    const off = [
      on('nodes_changed', soon),
      on('sources_changed', soon),
      on('snapshots_changed', soon),
      on('job_changed', (changed) => {
        this.heard(changed);
        if (isFinal(changed.job.state)) soon();
      }),
    ];
    return () => off.forEach((end) => end());
  }

  /** A job as it is now, without asking for everything again. */
  heard(changed: NodeJob): void {
    const { job } = changed;
    if (isFinal(job.state)) speeds.forget(job.id);
    else speeds.note(job.id, job.progress);
    const overview = this.resource.data;
    if (!overview) return;
    const others = overview.running.filter((other) => other.job.id !== job.id);
    const at = overview.running.findIndex((other) => other.job.id === job.id);
    const running =
      isFinal(job.state) || isWaiting(job)
        ? others
        : at < 0
          ? [...others, changed]
          : overview.running.with(at, changed);
    this.resource.set({ ...overview, running });
  }

  async #findRestored(): Promise<void> {
    const lists = await Promise.all(
      this.nodes.map(async ({ id: node_id }) => {
        // A node whose jobs cannot be listed says so in its own view.
        const jobs = await listJobs(node_id).catch(() => []);
        return jobs.filter(({ can_undo }) => can_undo).map((job) => ({ node_id, job }));
      }),
    );
    this.#restored = lists.flat();
  }
}

export const overview = new OverviewState();
