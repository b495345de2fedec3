/** The axes of a graph: where they end and what stands beside them. */

import { bytes } from '$/lib/format';

const KIB = 1024;

/** The next of 1, 2, 5 times a power of ten of a binary unit: an axis whose middle reads well. */
export function niceRate(highest: number): number {
  let unit = KIB;
  while (highest >= unit * KIB) unit *= KIB;
  for (let power = 1; ; power *= 10) {
    for (const step of [1, 2, 5]) {
      const end = step * power * unit;
      // 1000 of a unit reads worse than one of the next.
      if (step * power >= 1000) return unit * KIB;
      if (highest <= end) return Math.max(end, 100 * KIB);
    }
  }
}

/** `5 MiB/s`, `2.5 MiB/s`: shorter than elsewhere, since it labels a round number. */
export function rateLabel(bytesPerSecond: number): string {
  return bytesPerSecond === 0 ? '0' : bytes(bytesPerSecond).replace('.0 ', ' ');
}

/** Round times (seconds) inside of a span, about `wanted` of them. */
export function timeTicks(from: number, until: number, wanted: number): number[] {
  const steps = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200];
  const step = steps.find((s) => (until - from) / s <= wanted) ?? 86_400;
  // Round in the user's zone, not in UTC: half-hour zones exist.
  const offset = new Date(from * 1000).getTimezoneOffset() * 60;
  const first = Math.ceil((from - offset) / step) * step + offset;
  const ticks = [];
  for (let at = first; at <= until; at += step) ticks.push(at);
  return ticks;
}
