/** Servers, and the sites on them. */

import { bytes, plural } from '$/lib/format';

export const nodes = {
  title: 'Nodes',
  listing: 'Could not list the nodes',
  summary: (n: number, away: number) =>
    away === 0
      ? n === 1
        ? 'Your server is connected'
        : `All ${n} servers are connected`
      : `${away} of ${plural(n, 'server')} ${away === 1 ? 'does' : 'do'} not answer`,
  none: 'No server is connected yet',
  columns: {
    state: 'State',
    name: 'Name',
    address: 'Address',
    os: 'System',
    version: 'Agent',
    heard: 'Last heard',
    sources: 'Sources',
  },
  states: {
    online: 'Online',
    connecting: 'Connecting',
    offline: 'Offline',
    refused: 'Refused',
  },
  never: 'never',
  emptyTitle: 'No nodes yet',
  emptyText:
    'A node is a server with backupd on it. Adding one takes its address and the code on its console.',
};

export const node = {
  loading: 'Could not load the node',
  lastHeard: (when: string) => `last heard ${when}`,
  stale: (when: string) => `It does not answer. What you see is from ${when}.`,
  neverHeard: 'It has not answered since it was enrolled.',
  tabs: { sources: 'Sources', jobs: 'Jobs', details: 'Details' },
  range: 'Time shown',
  ranges: { now: '5 min', hour: 'Hour', day: 'Day' },
  cpu: 'CPU',
  memory: 'Memory',
  disk: 'Disk I/O',
  network: 'Network',
  read: 'read',
  written: 'write',
  received: 'in',
  sent: 'out',
  stats: 'Could not load the history',
  noData: 'No data for this time',
  disks: 'Disks',
  load: 'Load',
  swap: 'Swap',
  ofTotal: (used: string, total: string) => `${used} of ${total}`,
  free: (size: string) => `${size} free`,
  running: (name: string) => `Job: ${name}`,
  address: 'Address',
  fingerprint: 'Fingerprint',
  fingerprintHint: 'The server’s console shows the same below a code.',
  version: 'Agent version',
  system: 'System',
  enrolled: 'Enrolled',
  rename: 'Rename',
  renaming: 'Could not rename it',
  name: 'Name',
  save: 'Save',
  revoke: 'Revoke…',
  revokeText: 'Its key stops working at once and it makes no more backups for you.',
  revokeTitle: (name: string) => `Revoke ${name}?`,
  revokeVerb: 'Revoke node',
  revokeLoses: (sources: number) =>
    sources === 0
      ? 'The server can no longer be reached from here.'
      : `${plural(sources, 'source')} on it will no longer be backed up, and the server can no longer be reached from here.`,
  revokeKeeps:
    'Snapshots already in a bucket stay and can still be restored. Those stored on the server itself stay there, but cannot be read from here any more.',
  revokeBack: 'To get it back, enrol it again with a new code from its console.',
};

export const sites = {
  title: 'Sites found',
  protectedTitle: 'Protected',
  scanning: 'Looking for sites…',
  scanFailed: 'Could not look for sites',
  scan: 'Scan again',
  base: 'Folder to look in',
  baseHint: '/var/www unless you say otherwise',
  look: 'Look',
  elsewhere: 'Look elsewhere…',
  none: 'No WordPress site found',
  noneText: 'Nothing with a wp-config.php and wp-content below the folders that were looked at.',
  protect: 'Protect',
  protecting: (name: string) => `Could not protect ${name}`,
  protectN: (n: number) => `Protect ${plural(n, 'site')}`,
  content: (size: number, files: number) => `${bytes(size)} · ${plural(files, 'file')}`,
  database: (name: string) => `database ${name}`,
  already: 'Protected',
  problems: (n: number) => plural(n, 'problem'),
  store: 'Store in',
  storeHint: 'Every snapshot goes there, encrypted. Add a bucket under Storage.',
  noStore: 'No store can be used yet',
  ownStore: 'On the server itself',
  remove: 'Stop protecting…',
  removeTitle: (name: string) => `Stop protecting ${name}?`,
  removeVerb: 'Stop protecting',
  removeText: (snapshots: number) =>
    `No more backups of it are made. Its ${plural(snapshots, 'snapshot')} stay where they are and can still be restored.`,
  removeBack: 'You can protect it again at any time; that begins a new source.',
};
