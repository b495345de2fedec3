/** What this computer does itself: restores into a folder, verifications. */

import { backend } from '$/lib/backend';

export const listTasks = () => backend().tasksList();
export const cancelTask = (taskId: string) => backend().taskCancel(taskId);
export const openFolder = (path: string) => backend().folderOpen(path);
export const chooseFolder = () => backend().folderChoose();
