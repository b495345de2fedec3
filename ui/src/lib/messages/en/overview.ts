/** Am I safe? */

import { plural } from '$/lib/format';

export const overview = {
  title: 'Overview',
  loading: 'Could not load the overview',
  nothingYet: 'Nothing is protected yet',
  noSources: 'No source is protected yet',
  allProtected: (n: number) =>
    n === 1 ? 'Your source is protected' : `All ${n} sources are protected`,
  needYou: (n: number, of: number) =>
    of === 1 ? 'Your source needs you' : `${n} of ${of} sources ${n === 1 ? 'needs' : 'need'} you`,
  nodesNeedYou: (n: number) =>
    n === 1 ? '1 server cannot be reached' : `${n} servers cannot be reached`,
  waiting: (n: number) =>
    n === 1
      ? '1 source is waiting for its first backup'
      : `${n} sources wait for their first backup`,
  firstRunning: (n: number) =>
    n === 1 ? 'The first backup is under way' : `The first backups of ${n} sources are under way`,
  lastBackup: (when: string) => `last backup ${when}`,
  needs: 'Needs you',
  sources: 'Sources',
  running: 'Running now',
  emptyTitle: 'Add your first server',
  emptyText:
    'Install backupd on a server, type its five-character code here, and choose which sites to protect. It takes about two minutes.',
  noSourcesTitle: 'Choose what to protect',
  noSourcesText:
    'Your servers are connected. Open one to see the sites found on it, and protect them with one click.',
  openNode: 'Open the server',
  columns: {
    status: 'Status',
    name: 'Source',
    node: 'Node',
    last: 'Last backup',
    size: 'Size',
    to: 'Stored in',
  },
  backUpNow: 'Back up now',
  stop: 'Stop',
  never: 'never',
  backingUp: 'Backing up',
  filter: 'Filter sources',
  noMatch: 'No source matches',
};

export const protection = {
  protected: 'Protected',
  waiting: 'Waiting',
  attention: 'Attention',
  failed: 'Failed',
};

export const needs = {
  failed: (name: string) => `The last backup of ${name} failed`,
  never: (name: string) => `${name} has no backup yet`,
  attention: (name: string) => `${name} needs a look`,
  cancelled: (name: string) => `The last backup of ${name} was stopped`,
  away: (name: string) => `${name}: its server cannot be reached`,
  warned: (name: string, n: number) => `${name} was backed up with ${plural(n, 'warning')}`,
  notStored: (name: string) => `The last backup of ${name} did not reach every store`,
  chain: (name: string) => `The newest snapshot of ${name} is not to be trusted`,
  offline: (name: string) => `${name} does not answer`,
  refused: (name: string) => `${name} answers with another key`,
  keep: (name: string) => `${name} was restored in place: keep it, or undo?`,
  show: 'Show',
  openNode: 'Open node',
  again: 'Back up now',
  snapshots: 'Snapshots',
};
