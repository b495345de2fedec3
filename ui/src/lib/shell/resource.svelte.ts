/** Something asked of the backend: not there yet, there, or failed; the newest answer wins. */

import { Failure } from '$/lib/backend';

export class Resource<T> {
  #data = $state.raw<T>();
  #error = $state.raw<Failure>();
  #loading = $state(false);
  #asked = 0;

  constructor(private readonly ask: () => Promise<T>) {}

  /** The newest answer; it stays while a reload is under way or has failed. */
  get data(): T | undefined {
    return this.#data;
  }

  /** Why the newest reload failed. */
  get error(): Failure | undefined {
    return this.#error;
  }

  get loading(): boolean {
    return this.#loading;
  }

  /** Changes what is there without asking: an event told of it. */
  set(data: T): void {
    this.#data = data;
  }

  load = async (): Promise<void> => {
    const turn = ++this.#asked;
    this.#loading = true;
    try {
      const data = await this.ask();
      if (turn !== this.#asked) return;
      this.#data = data;
      this.#error = undefined;
    } catch (thrown) {
      if (turn !== this.#asked) return;
      this.#error = Failure.of(thrown);
    } finally {
      if (turn === this.#asked) this.#loading = false;
    }
  };
}
