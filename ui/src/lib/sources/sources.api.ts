/** What is protected, and what could be. */

import { backend } from '$/lib/backend';
import type { FoundSite, Schedule } from '$/lib/bindings/bindings';

/** `base` empty: the usual places. */
export const scanNode = (nodeId: string, base = '') =>
  backend().nodeScan(nodeId, base.trim() || null);

export const protectSite = (nodeId: string, site: FoundSite, providerIds: string[]) =>
  backend().sourceProtect(nodeId, site.path, site.name, providerIds);

/** Null: only when asked for. */
export const scheduleSource = (sourceId: string, schedule: Schedule | null) =>
  backend().sourceSchedule(sourceId, schedule);

/** The next three runs. */
export const previewSchedule = async (schedule: Schedule) =>
  (await backend().schedulePreview(schedule)).next;

export const removeSource = (sourceId: string) => backend().sourceRemove(sourceId);
