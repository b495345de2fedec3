/** The jobs of one node, moving. */

import type { NodeJob } from '$/lib/bindings/bindings';
import { on } from '$/lib/shell/events';
import { Resource } from '$/lib/shell/resource.svelte';

import { withJob } from './job';
import { listJobs } from './jobs.api';

export class NodeJobs {
  readonly list: Resource<Awaited<ReturnType<typeof listJobs>>>;

  constructor(readonly nodeId: string) {
    this.list = new Resource(() => listJobs(nodeId));
  }

  get running(): number {
    return this.list.data?.filter(({ state }) => state === 'RUNNING').length ?? 0;
  }

  /** Loads, and follows what changes until the returned function is called. */
  start(): () => void {
    void this.list.load();
    return on('job_changed', this.heard);
  }

  readonly heard = ({ node_id, job }: NodeJob): void => {
    if (node_id !== this.nodeId || !this.list.data) return;
    this.list.set(withJob(this.list.data, job));
  };
}
