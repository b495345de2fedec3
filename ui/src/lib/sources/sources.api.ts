/** What is protected, and what could be. */

import { backend } from '$/lib/backend';
import type { FoundSite } from '$/lib/bindings/bindings';

/** `base` empty: the usual places. */
export const scanNode = (nodeId: string, base = '') =>
  backend().nodeScan(nodeId, base.trim() || null);

export const protectSite = (nodeId: string, site: FoundSite, providerIds: string[]) =>
  backend().sourceProtect(nodeId, site.path, site.name, providerIds);

export const removeSource = (sourceId: string) => backend().sourceRemove(sourceId);
