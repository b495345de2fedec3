/**
 * What is chosen of a snapshot: a set of paths of which none lies below another. A folder stands
 * for all below it, so taking one file out of a chosen folder turns the folder into its rest.
 */

import type { FileEntry } from '$/lib/bindings/bindings';

export type Mark = 'all' | 'some' | 'none';

/** The entries of a folder that was looked into. */
export type Listing = (folder: string) => readonly FileEntry[] | undefined;

export class Selection {
  constructor(private readonly chosen: ReadonlyMap<string, FileEntry> = new Map()) {}

  get paths(): string[] {
    return [...this.chosen.keys()];
  }

  get empty(): boolean {
    return this.chosen.size === 0;
  }

  /** Files in it. */
  get files(): number {
    return sum([...this.chosen.values()].map((e) => (e.kind === 'folder' ? e.files : 1)));
  }

  /** Bytes in it. */
  get size(): number {
    return sum([...this.chosen.values()].map((e) => e.size));
  }

  mark(path: string): Mark {
    if (this.#holder(path) !== undefined) return 'all';
    const below = `${path}/`;
    return this.paths.some((other) => other.startsWith(below)) ? 'some' : 'none';
  }

  /** With `entry` and all below it. */
  with(entry: FileEntry): Selection {
    if (this.#holder(entry.path) !== undefined) return this;
    const next = new Map(this.#outside(entry.path));
    return new Selection(next.set(entry.path, entry));
  }

  /** Without `entry` and all below it. `listing` knows every folder on the way to it. */
  without(entry: FileEntry, listing: Listing): Selection {
    const holder = this.#holder(entry.path);
    const next = new Map(this.#outside(entry.path));
    if (holder === undefined || holder === entry.path) return new Selection(next);
    next.delete(holder);
    for (const folder of foldersBetween(holder, entry.path)) {
      for (const sibling of listing(folder) ?? []) {
        const onTheWay = sibling.path === entry.path || entry.path.startsWith(`${sibling.path}/`);
        if (!onTheWay) next.set(sibling.path, sibling);
      }
    }
    return new Selection(next);
  }

  /** What was chosen that holds `path`: itself or a folder above. */
  #holder(path: string): string | undefined {
    for (let at = path; at !== ''; at = parentOf(at)) if (this.chosen.has(at)) return at;
    return undefined;
  }

  #outside(path: string): [string, FileEntry][] {
    const below = `${path}/`;
    return [...this.chosen].filter(([other]) => other !== path && !other.startsWith(below));
  }
}

/** The folder a path lies in; `''` is the top. */
export function parentOf(path: string): string {
  const cut = path.lastIndexOf('/');
  return cut < 0 ? '' : path.slice(0, cut);
}

/** `from`, and every folder from there down to the one `path` lies in. */
function foldersBetween(from: string, path: string): string[] {
  const folders = [];
  for (let at = parentOf(path); at.length >= from.length; at = parentOf(at)) {
    folders.push(at);
    if (at === from) break;
  }
  return folders;
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
