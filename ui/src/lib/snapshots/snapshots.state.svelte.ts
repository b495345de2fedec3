/** The catalogue: snapshots by source, kept true by events. */

import type { SnapshotView } from '$/lib/bindings/bindings';
import { on, settle } from '$/lib/shell/events';
import { Resource } from '$/lib/shell/resource.svelte';

import { bySource } from './by-source';
import { listSnapshots } from './snapshots.api';

export class SnapshotsState {
  readonly list = new Resource(listSnapshots);
  readonly sources = $derived(bySource(this.list.data ?? []));

  get(id: string | undefined): SnapshotView | undefined {
    return this.list.data?.find((snapshot) => snapshot.id === id);
  }

  start(): () => void {
    const soon = settle(this.list.load);
    void this.list.load();
    return on('snapshots_changed', soon);
  }
}
