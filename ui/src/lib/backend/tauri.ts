/** The desktop as a backend: the generated commands, their results turned into promises that reject. */

import { commands, events } from '$/lib/bindings/bindings';
import type { ErrorView } from '$/lib/bindings/bindings';

import { Failure, type Backend } from '.';

type Answer<T> = { status: 'ok'; data: T } | { status: 'error'; error: ErrorView };

async function value<T>(answer: Promise<Answer<T>>): Promise<T> {
  let settled;
  try {
    settled = await answer;
  } catch (thrown) {
    throw Failure.of(thrown);
  }
  if (settled.status === 'error') throw Failure.of(settled.error);
  return settled.data;
}

async function done(answer: Promise<Answer<unknown>>): Promise<void> {
  await value(answer);
}

/** The desktop this page runs in. */
export const tauri: Backend = {
  setupStatus: () => value(commands.setupStatus()),
  setupCreate: (tenantName) => done(commands.setupCreate(tenantName)),
  setupSaveKit: (path) => done(commands.setupSaveKit(path)),

  overviewGet: () => value(commands.overviewGet()),

  nodesList: () => value(commands.nodesList()),
  nodeGet: (nodeId) => value(commands.nodeGet(nodeId)),
  nodeEnrol: (address, code) => value(commands.nodeEnrol(address, code)),
  nodeRename: (nodeId, name) => done(commands.nodeRename(nodeId, name)),
  nodeRevoke: (nodeId) => done(commands.nodeRevoke(nodeId)),
  nodeScan: (nodeId, base) => value(commands.nodeScan(nodeId, base)),
  nodeStats: (nodeId, range) => value(commands.nodeStats(nodeId, range)),
  nodeWatch: (nodeId) => done(commands.nodeWatch(nodeId)),
  nodeUnwatch: (nodeId) => done(commands.nodeUnwatch(nodeId)),
  nodeResources: (nodeId) => value(commands.nodeResources(nodeId)),

  sourcesList: () => value(commands.sourcesList()),
  sourceProtect: (nodeId, path, name, providerIds) =>
    value(commands.sourceProtect(nodeId, path, name, providerIds)),
  sourceRemove: (sourceId) => done(commands.sourceRemove(sourceId)),
  sourceSchedule: (sourceId, schedule) => done(commands.sourceSchedule(sourceId, schedule)),
  schedulePreview: (schedule) => value(commands.schedulePreview(schedule)),
  sourceRetention: (sourceId, retention) => done(commands.sourceRetention(sourceId, retention)),
  retentionPreview: (sourceId, retention) => value(commands.retentionPreview(sourceId, retention)),

  jobsList: (nodeId) => value(commands.jobsList(nodeId)),
  jobGet: (jobId) => value(commands.jobGet(jobId)),
  jobStart: (sourceId) => value(commands.jobStart(sourceId)),
  jobStop: (nodeId, jobId) => done(commands.jobStop(nodeId, jobId)),
  jobRetry: (nodeId, jobId) => value(commands.jobRetry(nodeId, jobId)),
  jobReset: (nodeId, jobId) => done(commands.jobReset(nodeId, jobId)),

  snapshotsList: (sourceId) => value(commands.snapshotsList(sourceId)),
  snapshotFiles: (snapshotId, folder) => value(commands.snapshotFiles(snapshotId, folder)),
  snapshotVerify: (snapshotId) => value(commands.snapshotVerify(snapshotId)),
  snapshotHold: (snapshotId, held) => done(commands.snapshotHold(snapshotId, held)),
  snapshotRestore: (snapshotId, paths, folder) =>
    value(commands.snapshotRestore(snapshotId, paths, folder)),
  snapshotRestoreInPlace: (snapshotId) => value(commands.snapshotRestoreInPlace(snapshotId)),
  restoreConfirm: (nodeId, jobId) => done(commands.restoreConfirm(nodeId, jobId)),
  restoreUndo: (nodeId, jobId) => done(commands.restoreUndo(nodeId, jobId)),

  tasksList: () => value(commands.tasksList()),
  taskCancel: (taskId) => done(commands.taskCancel(taskId)),

  providersList: () => value(commands.providersList()),
  providerAdd: (name, kind, credentials) => value(commands.providerAdd(name, kind, credentials)),
  providerTest: (kind, credentials, providerId) =>
    value(commands.providerTest(kind, credentials, providerId)),
  providerRemove: (providerId) => done(commands.providerRemove(providerId)),

  folderChoose: () => value(commands.folderChoose()),
  kitChoose: (suggested) => value(commands.kitChoose(suggested)),
  folderOpen: (path) => done(commands.folderOpen(path)),

  listen: (heard) => events.masterEvent.listen((event) => heard(event.payload)),
};
