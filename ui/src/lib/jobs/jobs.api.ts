/** Runs on the nodes. */

import { backend } from '$/lib/backend';

export const listJobs = (nodeId: string) => backend().jobsList(nodeId);
export const startBackup = (sourceId: string) => backend().jobStart(sourceId);
export const retryJob = (nodeId: string, jobId: string) => backend().jobRetry(nodeId, jobId);
export const stopJob = (nodeId: string, jobId: string) => backend().jobStop(nodeId, jobId);
