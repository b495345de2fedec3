/** The four graphs of one node: history at opening, a sample a second from then on. */

import type { Sample, StatsRange } from '$/lib/bindings/bindings';
import { Failure } from '$/lib/backend';
import { nodeStats, watchNode } from '$/lib/nodes/nodes.api';
import { on } from '$/lib/shell/events';

import { Series } from './series';

/** How much time is shown. */
export type Window = 'now' | 'hour' | 'day';

const MINUTE = 60_000;

export const WINDOW_MS: Record<Window, number> = {
  now: 5 * MINUTE,
  hour: 60 * MINUTE,
  day: 24 * 60 * MINUTE,
};

const rangeOf = (window: Window): StatsRange => (window === 'day' ? 'day' : 'hour');
const stepOf = (window: Window): number => (window === 'day' ? MINUTE : 1000);

export class LiveNode {
  #window = $state<Window>('now');
  #series = $state.raw(new Series(stepOf('now'), WINDOW_MS.hour));
  #latest = $state.raw<Sample>();
  #version = $state(0);
  #error = $state.raw<Failure>();
  #filled = $state(false);

  constructor(readonly nodeId: string) {}

  get window(): Window {
    return this.#window;
  }

  get series(): Series {
    return this.#series;
  }

  /** Rises whenever the series got a row: what draws it depends on this. */
  get version(): number {
    return this.#version;
  }

  /** The newest second. */
  get latest(): Sample | undefined {
    return this.#latest;
  }

  get error(): Failure | undefined {
    return this.#error;
  }

  /** The history is there (or failed): what is empty now is empty in truth. */
  get filled(): boolean {
    return this.#filled;
  }

  choose(window: Window): void {
    const refill = rangeOf(window) !== rangeOf(this.#window);
    this.#window = window;
    if (refill) void this.fill();
  }

  /** Fills the history. Live samples that came meanwhile are kept: they are newer. */
  readonly fill = async (): Promise<void> => {
    const window = this.#window;
    this.#filled = false;
    try {
      const { samples } = await nodeStats(this.nodeId, rangeOf(window));
      if (rangeOf(window) !== rangeOf(this.#window)) return;
      const keep = rangeOf(window) === 'day' ? WINDOW_MS.day : WINDOW_MS.hour;
      const series = new Series(stepOf(window), keep);
      for (const sample of samples) series.push(sample);
      const newest = series.last;
      if (newest && newest.at_ms > (this.#latest?.at_ms ?? 0)) this.#latest = newest;
      this.#series = series;
      this.#error = undefined;
    } catch (thrown) {
      this.#error = Failure.of(thrown);
    } finally {
      this.#filled = true;
      this.#version += 1;
    }
  };

  /** A second as it came. The day's minutes are not made of single seconds. */
  heard(sample: Sample): void {
    if (sample.at_ms <= (this.#latest?.at_ms ?? 0)) return;
    this.#latest = sample;
    if (this.#window === 'day') {
      if (sample.at_ms - (this.#series.last?.at_ms ?? 0) < MINUTE) return;
    }
    if (this.#series.push(sample)) this.#version += 1;
  }

  /** Watches until the returned function is called. */
  start(): () => void {
    void this.fill();
    const off = on('live', ({ node_id, message }) => {
      if (node_id === this.nodeId && message.type === 'sample') this.heard(message.data);
    });
    const unwatch = watchNode(this.nodeId);
    return () => {
      off();
      unwatch();
    };
  }
}
