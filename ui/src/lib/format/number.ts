/** Sizes, rates and counts for people. Binary units, one decimal, always the same width of words. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1.2 GiB`; below one KiB whole bytes. */
export function bytes(value: number): string {
  let size = Math.max(0, value);
  let unit = 0;
  // 1023.95 would round to 1024.0: it belongs to the next unit.
  while (size >= 1023.95 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  if (unit === 0 && size >= 1023.5) return '1.0 KiB';
  return unit === 0 ? `${Math.round(size)} B` : `${size.toFixed(1)} ${UNITS[unit]}`;
}

/** `24.0 MiB/s`. */
export function rate(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`;
}

/** `12,345`. */
export function count(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 file`, `12,345 files`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `61 %`; 100 % only when it is all there, never before. */
export function percent(done: number, total: number): string {
  return `${wholePercent(done, total)} %`;
}

/** 0 to 100, as {@link percent} shows it. */
export function wholePercent(done: number, total: number): number {
  if (total <= 0) return 0;
  if (done >= total) return 100;
  return Math.min(99, Math.max(0, Math.floor((done / total) * 100)));
}
