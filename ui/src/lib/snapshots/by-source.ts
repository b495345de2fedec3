/** The catalogue, sorted by what was backed up. */

import type { SnapshotView } from '$/lib/bindings/bindings';

/** A source that has snapshots; it may be protected no more. */
export interface SnapshotSource {
  id: string;
  name: string;
  nodeName: string;
  snapshots: SnapshotView[];
}

/** The sources of a list, by name, each with its snapshots as they came: newest first. */
export function bySource(snapshots: readonly SnapshotView[]): SnapshotSource[] {
  const sources = new Map<string, SnapshotSource>();
  for (const snapshot of snapshots) {
    const { source_id: id, source_name: name, node_name: nodeName } = snapshot;
    const source = sources.get(id) ?? { id, name, nodeName, snapshots: [] };
    source.snapshots.push(snapshot);
    sources.set(id, source);
  }
  return [...sources.values()].sort((a, b) => a.name.localeCompare(b.name, 'en'));
}
