/** The columns of a table and how wide they are. One grows; the rest are dragged. */

import { store, stored } from '$/lib/shell/stored';

export interface Column {
  id: string;
  /** Empty for a column of buttons: it has no heading and is not dragged. */
  label: string;
  /** Pixels; absent for the one that takes the rest. */
  width?: number;
  min?: number;
  align?: 'end';
  /** Not shown in a table narrower than this many pixels. */
  needs?: number;
}

const isWidths = (value: unknown): value is Record<string, number> =>
  typeof value === 'object' && value !== null && Object.values(value).every(Number.isFinite);

export class Columns {
  #widths: Record<string, number> = $state({});
  /** The width of the table; unknown before it was laid out. */
  available = $state<number>();

  constructor(
    private readonly key: string,
    private readonly all: readonly Column[],
  ) {
    this.#widths = stored(`columns.${key}`, isWidths) ?? {};
  }

  /** Those there is room for. */
  get list(): Column[] {
    return this.all.filter(({ needs = 0 }) => (this.available ?? Infinity) >= needs);
  }

  shows(id: string): boolean {
    return this.list.some((column) => column.id === id);
  }

  width(column: Column): number | undefined {
    if (column.width === undefined) return undefined;
    return Math.max(column.min ?? 48, this.#widths[column.id] ?? column.width);
  }

  /** For `grid-template-columns`. */
  get template(): string {
    return this.list
      .map((column) => {
        const width = this.width(column);
        return width === undefined ? `minmax(${column.min ?? 120}px, 1fr)` : `${width}px`;
      })
      .join(' ');
  }

  /** The side of a column its handle stands on: towards the one that grows. */
  handle(column: Column): 'left' | 'right' | undefined {
    if (column.width === undefined || !column.label) return undefined;
    const grows = this.list.findIndex(({ width }) => width === undefined);
    return this.list.indexOf(column) > grows ? 'left' : 'right';
  }

  resize(column: Column, width: number): void {
    this.#widths[column.id] = Math.min(640, Math.max(column.min ?? 48, Math.round(width)));
    store(`columns.${this.key}`, this.#widths);
  }

  reset(column: Column): void {
    this.#widths = Object.fromEntries(
      Object.entries(this.#widths).filter(([id]) => id !== column.id),
    );
    store(`columns.${this.key}`, this.#widths);
  }
}
