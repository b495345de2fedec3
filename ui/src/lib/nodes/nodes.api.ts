/** Servers. */

import { backend } from '$/lib/backend';
import type { StatsRange } from '$/lib/bindings/bindings';

export const getNode = (nodeId: string) => backend().nodeGet(nodeId);
export const enrolNode = (address: string, code: string) => backend().nodeEnrol(address, code);
export const renameNode = (nodeId: string, name: string) =>
  backend().nodeRename(nodeId, name.trim());
export const revokeNode = (nodeId: string) => backend().nodeRevoke(nodeId);
export const nodeStats = (nodeId: string, range: StatsRange) => backend().nodeStats(nodeId, range);

/** Has the node send a sample a second until the returned function is called. */
export function watchNode(nodeId: string): () => void {
  // A node that is away is watched once it is back: the state of the node says what is wrong.
  backend()
    .nodeWatch(nodeId)
    .catch(() => undefined);
  return () => {
    backend()
      .nodeUnwatch(nodeId)
      .catch(() => undefined);
  };
}
