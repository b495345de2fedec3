/** What can be got back. */

import { bytes, plural } from '$/lib/format';

export const snapshots = {
  title: 'Snapshots',
  listing: 'Could not list the snapshots',
  summary: (n: number, sources: number) =>
    `${plural(n, 'snapshot')} of ${plural(sources, 'source')} can be restored`,
  nothing: 'There is nothing to restore yet',
  emptyTitle: 'No snapshots yet',
  emptyText:
    'Every completed backup leaves a snapshot here: browse it, take out single files, or restore the whole.',
  toOverview: 'Go to the overview',
  sources: 'Sources',
  all: 'Snapshots',
  pick: 'Choose a snapshot to see its files',
  pickText: 'Nothing is fetched before that: only the encrypted list of files, never the whole.',
  files: 'Files',
  browsing: 'Could not open the list of files',
  opening: 'Opening the list of files…',
  emptyFolder: 'Empty folder',
  inconsistent: 'not one point in time',
  missing: 'No store holds it any more',
  verify: 'Verify',
  verifyHint: 'Reads everything back and checks every hash',
  verifying: 'Could not start to verify',
  inPlace: 'Restore in place…',
  name: 'Name',
  size: 'Size',
  modified: 'Changed',
  goUp: 'Folder above',
  root: 'Snapshot',
  path: 'Where you are',
  select: (name: string) => `Select ${name}`,
  selectAll: 'Select everything in this folder',
  clear: 'Clear',
  selected: (files: number, size: number) => `${plural(files, 'file')}, ${bytes(size)}`,
  wholeSnapshot: (files: number, size: number) =>
    `Nothing selected: the whole snapshot, ${plural(files, 'file')}, ${bytes(size)}`,
  restore: 'Restore to a folder…',
  removed: 'No longer protected',
  nodeOf: (node: string) => `on ${node}`,
  stored: (size: string) => `${size} stored`,
  kinds: { file: 'File', folder: 'Folder', symlink: 'Link', other: 'Special file' },
};

export const restore = {
  title: 'Restore to this computer',
  what: (files: number, size: number) => `${plural(files, 'file')}, ${bytes(size)}`,
  of: (source: string, when: string) => `of ${source}, ${when}`,
  folder: 'Into the folder',
  folderHint: 'A fresh folder is made inside it. Nothing that exists is touched.',
  folderMissing: 'Choose a folder.',
  choose: 'Choose…',
  submit: 'Restore',
  failed: 'Could not start the restore',
  inPlaceTitle: (name: string) => `Restore ${name} in place?`,
  inPlaceVerb: 'Restore in place',
  inPlaceWhat: (node: string) => `On ${node} this will change:`,
  inPlaceFiles: (path: string) =>
    `The files in ${path} become those of the snapshot. Files made since are gone from there.`,
  inPlaceDb:
    'The site’s database is replaced. Posts, orders and comments made since are gone from it.',
  inPlaceFrom: (when: string, age: string) => `It will be as it was ${when} (${age}).`,
  inPlaceBack:
    'The former files and database are kept on the server until you say “Keep”. Until then you can undo.',
  inPlaceVerified: 'Nothing is changed before every byte has been fetched and verified.',
  keep: 'Keep',
  undo: 'Undo',
  keepQuestion: (name: string) => `${name} was restored in place. Look at the site: is it right?`,
  keepTitle: (name: string) => `Keep the restored ${name}?`,
  keepText:
    'The state from before the restore is deleted from the server. It cannot be brought back after that.',
  keepVerb: 'Keep the restored site',
  undoTitle: (name: string) => `Undo the restore of ${name}?`,
  undoText:
    'Files and database go back to what they were before the restore. What was changed since the restore is lost.',
  undoVerb: 'Undo the restore',
};
