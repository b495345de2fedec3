/** What runs, and what came of it. */

import { plural } from '$/lib/format';

export const jobs = {
  listing: 'Could not list the jobs',
  none: 'No jobs yet',
  noneText: 'Every backup and restore on this node is listed here, with what each stage did.',
  kinds: { BACKUP: 'Backup', RESTORE: 'Restore' },
  states: {
    PENDING: 'Waiting',
    RUNNING: 'Running',
    COMPLETED: 'Completed',
    FAILED: 'Failed',
    CANCELLED: 'Stopped',
  },
  stageStates: {
    PENDING: 'Waiting',
    RUNNING: 'Running',
    COMPLETED: 'Done',
    FAILED: 'Failed',
    SKIPPED: 'Skipped',
  },
  stages: {
    backup_db: 'Dump the database',
    backup_files: 'Read the files',
    create_bundle: 'Compress and encrypt',
    upload_remote: 'Upload',
    cleanup: 'Clean up',
    restore_files: 'Fetch and verify the files',
    keep_former: 'Keep the former database',
    swap_files: 'Swap the files',
    restore_db: 'Load the database',
  } as Record<string, string>,
  columns: { state: 'State', what: 'Job', when: 'When', took: 'Took', size: 'Size' },
  started: 'Could not start the backup',
  stop: 'Stop',
  stopping: 'Could not stop it',
  retry: 'Retry',
  retryNow: 'Retry now',
  retrying: 'Could not try it again',
  retriesAt: (time: string, attempt: number, of: number) =>
    `Retries at ${time}, attempt ${attempt} of ${of}`,
  attempt: (n: number) => `Attempt ${n}`,
  left: (time: string) => `${time} left`,
  of: (done: string, total: string) => `${done} of ${total}`,
  files: (done: number, total: number | null) =>
    total === null
      ? plural(done, 'file')
      : `${plural(done, 'file')} of ${plural(total, 'file').replace(/ files?$/, '')}`,
  warnings: (n: number) => plural(n, 'warning'),
  progress: (name: string) => `Progress of ${name}`,
  failedIn: (stage: string) => `Failed in “${stage}”`,
  failed: 'The job failed',
  notStored: 'Not stored in',
  running: (n: number) => `${n} running`,
  older: (n: number) => `Show older (${n})`,
  details: (name: string) => `Stages of ${name}`,
};

export const tasks = {
  title: 'On this computer',
  open: 'Open folder',
  cancel: 'Cancel',
  dismiss: 'Dismiss',
  opening: 'Could not open the folder',
  states: {
    running: 'Running',
    completed: 'Done',
    failed: 'Failed',
    cancelled: 'Cancelled',
  },
  landed: 'In',
};
