/** Something a person does: under way, and what it failed with the last time. */

import { Failure } from '$/lib/backend';

export class Action {
  #busy = $state(false);
  #error = $state.raw<Failure>();

  get busy(): boolean {
    return this.#busy;
  }

  get error(): Failure | undefined {
    return this.#error;
  }

  /** Takes the failure from sight. */
  forget(): void {
    this.#error = undefined;
  }

  /** Does it, and answers whether it came through. */
  async run(work: () => Promise<unknown>): Promise<boolean> {
    this.#busy = true;
    this.#error = undefined;
    try {
      await work();
      return true;
    } catch (thrown) {
      this.#error = Failure.of(thrown);
      return false;
    } finally {
      this.#busy = false;
    }
  }
}
