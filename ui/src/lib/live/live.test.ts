import { beforeEach, describe, expect, it } from 'vitest';

import { useBackend } from '$/lib/backend';
import { FakeBackend } from '$/lib/backend/fake';
import { sampleAt } from '$/lib/backend/fake/live';
import { tell } from '$/lib/shell/events';

import { niceRate, rateLabel, timeTicks } from './axis';
import { LiveNode } from './live.state.svelte';
import { LINES, Series } from './series';

const at = (second: number) => sampleAt(second, false);

describe('a series', () => {
  it('shows a gap in time as a gap in every line', () => {
    const series = new Series(1000, 3_600_000);
    for (const second of [10, 11, 12, 20, 21]) series.push(at(second));
    expect(series.columns.at).toEqual([10, 11, 12, 13, 20, 21]);
    for (const line of LINES) {
      expect(series.columns[line].map((value) => value === null)).toEqual([
        false,
        false,
        false,
        true,
        false,
        false,
      ]);
    }
  });

  it('takes one second once, in order', () => {
    const series = new Series(1000, 3_600_000);
    expect([10, 11, 11, 9].map((second) => series.push(at(second)))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(series.columns.at).toEqual([10, 11]);
  });

  it('does not grow beyond what it keeps', () => {
    const series = new Series(1000, 600_000);
    for (let second = 1; second <= 5000; second += 1) series.push(at(second));
    const { length } = series.columns.at;
    expect(length).toBeGreaterThanOrEqual(600);
    expect(length).toBeLessThan(600 + 130);
    for (const line of LINES) expect(series.columns[line]).toHaveLength(length);
    expect(series.columns.at.at(-1)).toBe(5000);
  });

  it('breaks the line where a number is none', () => {
    const series = new Series(1000, 3_600_000);
    series.push({ ...at(10), cpu_percent: null });
    expect(series.columns.cpu).toEqual([null]);
  });
});

describe('a watched node', () => {
  let fake: FakeBackend;
  let live: LiveNode;

  beforeEach(async () => {
    fake = new FakeBackend();
    useBackend(fake);
    await fake.listen(tell);
    live = new LiveNode(fake.world.nodes[0]?.id ?? '');
  });

  it('is full when it opens, and goes on with what comes', async () => {
    const stop = live.start();
    await live.fill();
    const filled = live.series.columns.at.length;
    expect(filled).toBeGreaterThan(3000);
    const { version } = live;
    const data = at(Math.floor(Date.now() / 1000) + 5);
    fake.tell({ type: 'live', data: { node_id: live.nodeId, message: { type: 'sample', data } } });
    fake.tell({
      type: 'live',
      data: { node_id: 'another', message: { type: 'sample', data: at(9e9) } },
    });
    expect(live.latest?.at_ms).toBe(data.at_ms);
    expect(live.version).toBe(version + 1);
    stop();
    expect(fake.calls.at(-1)?.name).toBe('nodeUnwatch');
  });

  it('asks for the day only when the day is shown', async () => {
    await live.fill();
    live.choose('hour');
    expect(fake.calls.filter(({ name }) => name === 'nodeStats')).toHaveLength(1);
    live.choose('day');
    expect(fake.calls.at(-1)?.args[1]).toBe('day');
  });
});

describe('axes', () => {
  it('end on a round number at or above the highest', () => {
    for (const value of [0, 1, 3e3, 2e5, 1e6, 1.1e6, 3e7, 9e8, 5e9]) {
      expect(niceRate(value)).toBeGreaterThanOrEqual(value);
      expect(rateLabel(niceRate(value))).toMatch(/^(1|2|5|10|20|50|100|200|500) [KMG]iB$/);
    }
    expect(rateLabel(0)).toBe('0');
  });

  it('have a few round times', () => {
    const ticks = timeTicks(1_000_000_007, 1_000_000_307, 4);
    expect(ticks.length).toBeGreaterThan(1);
    expect(ticks.length).toBeLessThan(6);
    for (const tick of ticks) expect(tick % 60).toBe(0);
  });
});
