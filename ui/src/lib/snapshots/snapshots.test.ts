import { beforeEach, describe, expect, it } from 'vitest';

import { Failure, useBackend } from '$/lib/backend';
import { FakeBackend } from '$/lib/backend/fake';
import type { FileEntry } from '$/lib/bindings/bindings';

import { bySource } from './by-source';
import { Files } from './files.state.svelte';
import { Selection } from './selection';

const entry = (path: string, size: number, files = 0): FileEntry => ({
  path,
  name: path.split('/').at(-1) ?? '',
  kind: files > 0 ? 'folder' : 'file',
  size,
  files: files || 1,
  modified: null,
});

const TREE: Record<string, FileEntry[]> = {
  '': [entry('a', 60, 3), entry('b', 5)],
  a: [entry('a/x', 50, 2), entry('a/y', 10)],
  'a/x': [entry('a/x/1', 20), entry('a/x/2', 30)],
};
const listing = (folder: string) => TREE[folder];
const [a, b] = [entry('a', 60, 3), entry('b', 5)];

describe('a selection', () => {
  it('counts a folder as all below it', () => {
    const s = new Selection().with(a).with(b);
    expect([s.files, s.size, s.paths]).toEqual([4, 65, ['a', 'b']]);
    expect(s.mark('a/x/1')).toBe('all');
  });

  it('takes a folder in place of what was chosen below it', () => {
    const s = new Selection().with(entry('a/x/1', 20)).with(a);
    expect(s.paths).toEqual(['a']);
    expect(s.with(entry('a/y', 10)).paths).toEqual(['a']);
  });

  it('marks a folder of which some is chosen, and no namesake', () => {
    const s = new Selection().with(entry('a/x/1', 20));
    expect(['a', 'a/x', 'a/x/1', 'a/y'].map((p) => s.mark(p))).toEqual([
      'some',
      'some',
      'all',
      'none',
    ]);
    expect(new Selection().with(entry('ab', 1)).mark('a')).toBe('none');
  });

  it('turns a folder into its rest when one file below is taken out', () => {
    const s = new Selection().with(a).without(entry('a/x/1', 20), listing);
    expect(s.paths.sort()).toEqual(['a/x/2', 'a/y']);
    expect([s.files, s.size]).toEqual([2, 40]);
  });

  it('loses all below a folder that is taken out', () => {
    const s = new Selection().with(entry('a/x/1', 20)).with(b).without(a, listing);
    expect(s.paths).toEqual(['b']);
    expect(new Selection().with(a).without(a, listing).empty).toBe(true);
  });
});

describe('the files of a snapshot', () => {
  let fake: FakeBackend;
  let files: Files;

  beforeEach(async () => {
    fake = new FakeBackend();
    useBackend(fake);
    files = new Files('snapshot');
    await files.open('');
  });

  it('are asked for folder by folder, and once', async () => {
    await files.open('files');
    await files.open('');
    await files.open('files');
    expect(fake.calls.map(({ args }) => args[1])).toEqual(['', 'files']);
    expect(files.crumbs).toEqual([{ name: 'files', path: 'files' }]);
  });

  it('are walked with the keyboard: in, and back to where it came from', async () => {
    files.move(0);
    await files.enter();
    expect(files.folder).toBe('files');
    files.move(1);
    await files.enter();
    expect(files.folder).toBe('files');
    await files.up();
    expect([files.folder, files.cursor]).toEqual(['', 0]);
    files.move(-5);
    expect(files.cursor).toBe(0);
    files.move(500);
    expect(files.cursor).toBe(2);
  });

  it('are chosen over a span with Shift', () => {
    files.move(1);
    files.move(2, true);
    expect(files.selection.paths).toEqual(['backup.json', 'database.sql']);
    files.chooseAll(true);
    expect(files.selection.paths).toHaveLength(3);
    files.chooseAll(false);
    expect(files.selection.empty).toBe(true);
  });

  it('say why a folder could not be listed, and list it later', async () => {
    fake.fail.snapshotFiles = new Failure('unavailable', 'list files');
    await files.open('files');
    expect(files.error?.code).toBe('unavailable');
    delete fake.fail.snapshotFiles;
    await files.reopen();
    expect(files.error).toBeUndefined();
    expect(files.entries).toHaveLength(2);
  });
});

describe('the catalogue', () => {
  it('is grouped by source, newest first in each', () => {
    const { snapshots } = new FakeBackend().world;
    const sources = bySource(snapshots);
    expect(sources).toHaveLength(13);
    for (const { snapshots: own } of sources) {
      const times = own.map(({ created_at }) => created_at);
      expect(times).toEqual([...times].sort().reverse());
    }
  });
});
