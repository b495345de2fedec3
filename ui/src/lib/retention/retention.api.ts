/** Which snapshots stay. */

import { backend } from '$/lib/backend';
import type { Retention } from '$/lib/bindings/bindings';

/** What the rule would keep and remove; nothing is touched. */
export const previewRetention = (sourceId: string, retention: Retention) =>
  backend().retentionPreview(sourceId, retention);

/** Null keeps everything. */
export const setRetention = (sourceId: string, retention: Retention | null) =>
  backend().sourceRetention(sourceId, retention);
