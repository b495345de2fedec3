/** How fast jobs and tasks go and how long they will take, measured from their own progress. */

import { SvelteMap } from 'svelte/reactivity';

import type { Progress } from '$/lib/bindings/bindings';
import { Speed } from '$/lib/format';

export interface Pace {
  /** Bytes per second. */
  rate?: number;
  /** Milliseconds. */
  left?: number;
}

class Speeds {
  readonly #speeds = new Map<string, Speed>();
  readonly #paces = new SvelteMap<string, Pace>();

  of(id: string): Pace {
    return this.#paces.get(id) ?? {};
  }

  note(id: string, { done_bytes, total_bytes }: Progress, at = performance.now()): void {
    const speed = this.#speeds.get(id) ?? new Speed();
    this.#speeds.set(id, speed);
    speed.note(done_bytes, at);
    const left = total_bytes === null ? undefined : speed.left(total_bytes - done_bytes);
    this.#paces.set(id, { rate: speed.rate, left });
  }

  forget(id: string): void {
    this.#speeds.delete(id);
    this.#paces.delete(id);
  }
}

export const speeds = new Speeds();
