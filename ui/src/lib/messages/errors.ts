/**
 * The one table from error code to words: what it means, and what to do next. Nothing else in the
 * page builds error text.
 */

import type { Code } from '$/lib/bindings/bindings';

/** Words for one kind of failure. */
export interface ErrorWords {
  /** What happened, for a person. */
  title: string;
  /** What to do next. */
  next: string;
}

/** Every code has its words; the type keeps it so. */
export const errors: Record<Code, ErrorWords> = {
  invalid: {
    title: 'Something entered is not right',
    next: 'The details say what is allowed. Correct it and try again.',
  },
  not_found: {
    title: 'It is not there any more',
    next: 'It may have been removed meanwhile. Go back and look again.',
  },
  already_exists: {
    title: 'It exists already',
    next: 'Nothing was overwritten. Choose another name or an empty folder.',
  },
  conflict: {
    title: 'Something else is under way',
    next: 'Wait until it has finished, or stop it, then try again.',
  },
  unauthorized: {
    title: 'The server does not accept this computer',
    next: 'Its key may have been revoked. Enrol the server again; its backups stay.',
  },
  denied: {
    title: 'Permission was refused',
    next: 'Check the rights of the account, folder or access key named in the details.',
  },
  unavailable: {
    title: 'It cannot be reached',
    next: 'Check that it is running, that the address is right, and that no firewall blocks it.',
  },
  timeout: {
    title: 'It did not answer in time',
    next: 'It may be busy or the connection slow. Try again in a moment.',
  },
  cancelled: {
    title: 'Stopped on request',
    next: 'Nothing half-done was left behind. Start it again whenever you like.',
  },
  corrupt: {
    title: 'The stored data is not what was written',
    next: 'Do not delete anything. Verify other snapshots of this source and restore from a good one.',
  },
  disk_full: {
    title: 'The disk or quota is full',
    next: 'Free some space at the place named in the details, then try again.',
  },
  too_many: {
    title: 'Too many attempts',
    next: 'Wait a minute, or run “sudo backupd pair” on the server for a new code.',
  },
  code_rejected: {
    title: 'The code was not accepted',
    next: 'It was mistyped, or somebody is between you and the server. Compare it with the server’s console and try again.',
  },
  window_closed: {
    title: 'No code is open on the server',
    next: 'It expired or was used up. Run “sudo backupd pair” on the server for a new one.',
  },
  wrong_peer: {
    title: 'Another key answers at this address',
    next: 'If the server was reinstalled, enrol it again. If not, somebody may be in between: do not go on.',
  },
  incompatible: {
    title: 'The versions do not fit together',
    next: 'Update the older one: this application or backupd on the server.',
  },
  keyring_locked: {
    title: 'The keyring is locked or missing',
    next: 'Unlock your system’s keyring, then try again. Keys are never kept anywhere else.',
  },
  key_missing: {
    title: 'A key is missing from the keyring',
    next: 'Restore the keyring it was in. Snapshots can be opened with the recovery kit meanwhile.',
  },
  clock_skew: {
    title: 'The clocks differ too much',
    next: 'Set the time on the server or this computer right, then try again.',
  },
  tool: {
    title: 'A program it depends on failed',
    next: 'The details name the program. Install or repair it on the server.',
  },
  internal: {
    title: 'Something went wrong in Backupd',
    next: 'Try again. If it stays, copy the details and report them.',
  },
};
