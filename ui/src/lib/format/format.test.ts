import { describe, expect, it } from 'vitest';

import { bytes, count, percent, plural, rate } from './number';
import { splitForMiddle } from './path';
import { Speed } from './speed';
import { ago, duration, exact, moment } from './time';

describe('sizes', () => {
  it.each([
    [0, '0 B'],
    [1, '1 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [1024 * 1024 - 1, '1.0 MiB'],
    [1.2 * 1024 ** 3, '1.2 GiB'],
    [5 * 1024 ** 5, '5.0 PiB'],
    [-4, '0 B'],
  ])('%d bytes are %s', (value, text) => expect(bytes(value)).toBe(text));

  it('never shows 1024.0 of a unit', () => {
    for (let power = 10; power < 50; power += 10) {
      for (let less = 1; less < 60; less += 1) {
        expect(bytes(2 ** power * (1 - less / 100_000))).not.toMatch(/^1024/);
      }
    }
  });

  it('says rates per second and counts in groups', () => {
    expect(rate(24 * 1024 * 1024)).toBe('24.0 MiB/s');
    expect(count(1234567)).toBe('1,234,567');
    expect(plural(1, 'file')).toBe('1 file');
    expect(plural(0, 'file')).toBe('0 files');
  });

  it('says 100 % only when it is all there', () => {
    expect(percent(999_999, 1_000_000)).toBe('99 %');
    expect(percent(10, 10)).toBe('100 %');
    expect(percent(12, 10)).toBe('100 %');
    expect(percent(0, 0)).toBe('0 %');
  });
});

describe('durations', () => {
  it.each([
    [0, '< 1 s'],
    [999, '< 1 s'],
    [1000, '1 s'],
    [134_000, '2 m 14 s'],
    [120_000, '2 m'],
    [3_840_000, '1 h 4 m'],
    [3_600_000 + 5000, '1 h'],
    [266_400_000, '3 d 2 h'],
  ])('%d ms are %s', (value, text) => expect(duration(value)).toBe(text));
});

describe('relative times', () => {
  const now = new Date('2026-11-21T12:00:00Z');
  const before = (seconds: number) => new Date(now.getTime() - seconds * 1000);

  it.each([
    [0, 'just now'],
    [44, 'just now'],
    [46, '1 min ago'],
    [14 * 60, '14 min ago'],
    [3599, '59 min ago'],
    [3600, '1 h ago'],
    [86_400, 'yesterday'],
    [4 * 86_400, '4 days ago'],
  ])('%d s before is %s', (seconds, text) => expect(ago(before(seconds), now)).toBe(text));

  it('never counts seconds', () => {
    for (let s = -300; s < 4000; s += 1) expect(ago(before(s), now)).not.toMatch(/second|^0|-/);
  });

  it('turns into a date after a month, with the exact time behind it', () => {
    const at = new Date(2026, 1, 3, 4, 5, 6);
    expect(ago(at, now)).toBe('3 Feb 2026');
    expect(exact(at)).toBe('3 Feb 2026, 04:05:06');
    expect(moment(at, now)).toBe('3 Feb, 04:05');
    expect(moment(new Date(2024, 1, 3, 4, 5), now)).toBe('3 Feb 2024, 04:05');
  });
});

describe('paths', () => {
  it.each([
    ['/var/www/shop.example', '/var/www', '/shop.example'],
    ['/var', '', '/var'],
    ['/', '', '/'],
    ['/var/www/', '/var', '/www'],
  ])('%s keeps its end', (path, head, tail) =>
    expect(splitForMiddle(path)).toEqual({ head, tail }),
  );

  it('loses nothing of a long name', () => {
    const path = `/var/${'x'.repeat(80)}`;
    const { head, tail } = splitForMiddle(path);
    expect(head + tail).toBe(path);
    expect(tail.length).toBeLessThan(20);
  });
});

describe('speed', () => {
  it('is unknown before two measurements, then follows', () => {
    const speed = new Speed();
    speed.note(0, 0);
    expect(speed.rate).toBeUndefined();
    speed.note(1000, 1000);
    expect(speed.rate).toBe(1000);
    expect(speed.left(5000)).toBe(5000);
    for (let s = 2; s < 40; s += 1) speed.note(1000 + (s - 1) * 3000, s * 1000);
    expect(speed.rate).toBeCloseTo(3000, -2);
  });

  it('starts anew when less is done than before, and ignores bursts', () => {
    const speed = new Speed();
    speed.note(0, 0);
    speed.note(1000, 1000);
    speed.note(900_000, 1010);
    expect(speed.rate).toBe(1000);
    speed.note(10, 2000);
    expect(speed.rate).toBeUndefined();
    expect(speed.left(1)).toBeUndefined();
  });
});
