/** The time everything on the page agrees on, so that relative times move together. */

class Clock {
  #now = $state.raw(new Date());

  get now(): Date {
    return this.#now;
  }

  /** Moves the time on once a second; the returned function stops it. */
  start(): () => void {
    const timer = setInterval(() => (this.#now = new Date()), 1000);
    return () => clearInterval(timer);
  }
}

export const clock = new Clock();
