/** The files of one snapshot: a folder at a time, listings kept, and what is chosen. */

import { SvelteMap } from 'svelte/reactivity';

import { Failure } from '$/lib/backend';
import type { FileEntry } from '$/lib/bindings/bindings';

import { parentOf, Selection } from './selection';
import { listFolder } from './snapshots.api';

export class Files {
  readonly #listings = new SvelteMap<string, FileEntry[]>();
  #folder = $state('');
  #error = $state.raw<Failure>();
  #cursor = $state(0);
  #anchor = 0;
  #selection = $state.raw(new Selection());

  constructor(readonly snapshotId: string) {}

  /** The folder shown; `''` is the top. */
  get folder(): string {
    return this.#folder;
  }

  /** What lies in it, once it is known. */
  get entries(): FileEntry[] | undefined {
    return this.#listings.get(this.#folder);
  }

  get error(): Failure | undefined {
    return this.#error;
  }

  /** The row the keyboard is on. */
  get cursor(): number {
    return this.#cursor;
  }

  get selection(): Selection {
    return this.#selection;
  }

  /** The way here: every folder from the top, with its path. */
  get crumbs(): { name: string; path: string }[] {
    const names = this.#folder === '' ? [] : this.#folder.split('/');
    return names.map((name, i) => ({ name, path: names.slice(0, i + 1).join('/') }));
  }

  /** Shows a folder; `at` is the path of the entry the cursor begins on. */
  readonly open = async (folder: string, at?: string): Promise<void> => {
    this.#folder = folder;
    this.#error = undefined;
    this.#place(at);
    if (this.#listings.has(folder)) return;
    try {
      this.#listings.set(folder, await listFolder(this.snapshotId, folder));
      if (this.#folder === folder) this.#place(at);
    } catch (thrown) {
      if (this.#folder === folder) this.#error = Failure.of(thrown);
    }
  };

  readonly reopen = (): Promise<void> => this.open(this.#folder);

  /** Goes up; the cursor is on the folder it came from. */
  up(): Promise<void> {
    if (this.#folder === '') return Promise.resolve();
    return this.open(parentOf(this.#folder), this.#folder);
  }

  /** Enters the row at the cursor, if it is a folder. */
  enter(): Promise<void> {
    const entry = this.entries?.[this.#cursor];
    return entry?.kind === 'folder' ? this.open(entry.path) : Promise.resolve();
  }

  /** Moves the cursor; with `extend` everything passed over is chosen. */
  move(to: number, extend = false): void {
    const last = (this.entries?.length ?? 1) - 1;
    this.#cursor = Math.max(0, Math.min(last, to));
    if (!extend) {
      this.#anchor = this.#cursor;
      return;
    }
    const [from, until] = [this.#anchor, this.#cursor].sort((a, b) => a - b);
    for (const entry of this.entries?.slice(from, (until ?? 0) + 1) ?? []) this.choose(entry, true);
  }

  choose(entry: FileEntry, chosen: boolean): void {
    this.#selection = chosen
      ? this.#selection.with(entry)
      : this.#selection.without(entry, (folder) => this.#listings.get(folder));
  }

  toggle(entry: FileEntry): void {
    this.choose(entry, this.#selection.mark(entry.path) !== 'all');
  }

  /** Every entry of the folder shown, or none of them. */
  chooseAll(chosen: boolean): void {
    for (const entry of this.entries ?? []) this.choose(entry, chosen);
  }

  clear(): void {
    this.#selection = new Selection();
  }

  #place(at: string | undefined): void {
    const found =
      at === undefined ? -1 : (this.entries?.findIndex(({ path }) => path === at) ?? -1);
    this.#cursor = this.#anchor = Math.max(0, found);
  }
}
