/** Samples as columns for a graph. A gap in time is a gap in the line. */

import type { Sample } from '$/lib/bindings/bindings';

/** A value, or nothing: the line breaks. */
export type Value = number | null;

/** One column a line; `at` in seconds since the epoch, ascending. */
export interface Columns {
  at: number[];
  cpu: Value[];
  memory: Value[];
  read: Value[];
  written: Value[];
  received: Value[];
  sent: Value[];
}

export const LINES = ['cpu', 'memory', 'read', 'written', 'received', 'sent'] as const;
export type Line = (typeof LINES)[number];

export class Series {
  readonly columns: Columns = {
    at: [],
    cpu: [],
    memory: [],
    read: [],
    written: [],
    received: [],
    sent: [],
  };
  #last: Sample | undefined;

  /** `step`: milliseconds between samples; `keep`: how many milliseconds back are kept. */
  constructor(
    readonly step: number,
    readonly keep: number,
  ) {}

  /** The newest sample. */
  get last(): Sample | undefined {
    return this.#last;
  }

  /** Appends a sample. One not newer than the last is one already told: history and live overlap. */
  push(sample: Sample): boolean {
    const last = this.#last;
    if (last && sample.at_ms <= last.at_ms) return false;
    // Anything under two and a half steps is a sample that came late.
    if (last && sample.at_ms - last.at_ms > this.step * 2.5) this.#row(last.at_ms + this.step);
    this.#row(sample.at_ms, sample);
    this.#last = sample;
    this.#forget(sample.at_ms - this.keep);
    return true;
  }

  #row(atMs: number, sample?: Sample): void {
    const { columns } = this;
    columns.at.push(atMs / 1000);
    columns.cpu.push(sample?.cpu_percent ?? null);
    columns.memory.push(sample?.memory_used ?? null);
    columns.read.push(sample?.disk_read ?? null);
    columns.written.push(sample?.disk_write ?? null);
    columns.received.push(sample?.net_rx ?? null);
    columns.sent.push(sample?.net_tx ?? null);
  }

  #forget(beforeMs: number): void {
    const { at } = this.columns;
    const first = at.findIndex((second) => second * 1000 >= beforeMs);
    // In slabs: shifting thousands of numbers once a second is for nothing.
    if (first < 120) return;
    at.splice(0, first);
    for (const line of LINES) this.columns[line].splice(0, first);
  }
}
