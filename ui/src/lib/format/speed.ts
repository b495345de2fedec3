/** How fast something goes, from how far it was when. */

/** A moving average over the last seconds: steady enough to read, quick enough to believe. */
export class Speed {
  /** Seconds after which a measurement weighs a third. */
  static readonly MEMORY = 5;

  #bytes: number | undefined;
  #at = 0;
  #rate: number | undefined;

  /** `bytes` were done at `at` (milliseconds). */
  note(bytes: number, at: number): void {
    if (this.#bytes === undefined || bytes < this.#bytes) {
      this.#rate = undefined;
    } else {
      const seconds = (at - this.#at) / 1000;
      // Closer measurements say more about scheduling than about speed.
      if (seconds < 0.2) return;
      const now = (bytes - this.#bytes) / seconds;
      const weight = 1 - Math.exp(-seconds / Speed.MEMORY);
      this.#rate = this.#rate === undefined ? now : this.#rate + weight * (now - this.#rate);
    }
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Bytes per second, once there are two measurements. */
  get rate(): number | undefined {
    return this.#rate;
  }

  /** Milliseconds left for `rest` bytes, when it moves. */
  left(rest: number): number | undefined {
    if (this.#rate === undefined || this.#rate < 1) return undefined;
    return (rest / this.#rate) * 1000;
  }
}
