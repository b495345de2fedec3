/** What can be got back. */

import { backend } from '$/lib/backend';

export const listSnapshots = () => backend().snapshotsList(null);
export const listFolder = (snapshotId: string, folder: string) =>
  backend().snapshotFiles(snapshotId, folder);
export const verifySnapshot = (snapshotId: string) => backend().snapshotVerify(snapshotId);

/** `paths` empty: the whole. Into a fresh folder inside of `folder`. */
export const restoreTo = (snapshotId: string, paths: string[], folder: string) =>
  backend().snapshotRestore(snapshotId, paths, folder.trim());

export const restoreInPlace = (snapshotId: string) => backend().snapshotRestoreInPlace(snapshotId);
export const keepRestored = (nodeId: string, jobId: string) =>
  backend().restoreConfirm(nodeId, jobId);
export const undoRestore = (nodeId: string, jobId: string) => backend().restoreUndo(nodeId, jobId);
