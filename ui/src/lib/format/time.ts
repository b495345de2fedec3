/** Times and durations for people, in the user's own zone. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `2 m 14 s`, `1 h 4 m`, `3 d 2 h`; below a second `< 1 s`. Two units at most. */
export function duration(milliseconds: number): string {
  if (milliseconds < SECOND) return '< 1 s';
  const units: [number, string][] = [
    [DAY, 'd'],
    [HOUR, 'h'],
    [MINUTE, 'm'],
    [SECOND, 's'],
  ];
  const first = units.findIndex(([size]) => milliseconds >= size);
  const shown = units.slice(first, first + 2);
  let rest = milliseconds;
  return shown
    .map(([size, name]) => {
      const whole = Math.floor(rest / size);
      rest -= whole * size;
      return { whole, name };
    })
    .filter(({ whole }, i) => i === 0 || whole > 0)
    .map(({ whole, name }) => `${whole} ${name}`)
    .join(' ');
}

/** `just now`, `12 min ago`, `3 h ago`, `yesterday`, `4 days ago`, then the date. A clock that is
 * ahead of ours by a little is `just now` too; there is no `0 seconds ago`. */
export function ago(at: Date | string, now: Date): string {
  const past = now.getTime() - new Date(at).getTime();
  if (past < 45 * SECOND) return past < -2 * MINUTE ? exact(at) : 'just now';
  if (past < HOUR) return `${Math.max(1, Math.floor(past / MINUTE))} min ago`;
  if (past < DAY) return `${Math.floor(past / HOUR)} h ago`;
  const days = Math.floor(past / DAY);
  if (days === 1) return 'yesterday';
  if (days < 30) return `${days} days ago`;
  return date(at);
}

/** `21 Nov 2026`. */
export function date(at: Date | string): string {
  const d = new Date(at);
  return `${d.getDate()} ${MONTHS[d.getMonth()]} ${d.getFullYear()}`;
}

/** `21 Nov, 08:49`: a moment in a list, the year only when it is not this one. */
export function moment(at: Date | string, now: Date): string {
  const d = new Date(at);
  const year = d.getFullYear() === now.getFullYear() ? '' : ` ${d.getFullYear()}`;
  return `${d.getDate()} ${MONTHS[d.getMonth()]}${year}, ${clock(d)}`;
}

/** `21 Nov 2026, 08:49:34`: what stands behind a relative time. */
export function exact(at: Date | string): string {
  const d = new Date(at);
  return `${date(d)}, ${clock(d)}:${two(d.getSeconds())}`;
}

/** `08:49`. */
export function clock(at: Date): string {
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

function two(value: number): string {
  return value.toString().padStart(2, '0');
}
