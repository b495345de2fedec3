import { afterEach, describe, expect, it, vi } from 'vitest';

import { Failure } from '$/lib/backend';

import { on, settle, tell } from './events';
import { usableLanguage } from './locale';
import { Resource } from './resource.svelte';
import { href, parseRoute, type Route } from './route.svelte';

describe('routes', () => {
  const routes: Route[] = [
    { view: 'overview' },
    { view: 'nodes' },
    { view: 'node', id: 'n-1', tab: 'jobs' },
    { view: 'snapshots' },
    { view: 'snapshots', source: 's' },
    { view: 'snapshots', source: 's', snapshot: 'x' },
    { view: 'storage' },
  ];
  it.each(routes)('%o survives the address', (route) =>
    expect(parseRoute(href(route))).toEqual(route),
  );
  it('falls back to what it knows', () => {
    expect(parseRoute('#/nonsense/1')).toEqual({ view: 'overview' });
    expect(parseRoute('#/nodes/1/nonsense')).toEqual({ view: 'node', id: '1', tab: 'sources' });
  });
});

describe('a resource', () => {
  it('keeps what was there when a reload fails', async () => {
    let fail = false;
    const r = new Resource(() =>
      fail ? Promise.reject(new Failure('timeout', 'list nodes')) : Promise.resolve([1]),
    );
    await r.load();
    fail = true;
    await r.load();
    expect(r.data).toEqual([1]);
    expect(r.error?.code).toBe('timeout');
    fail = false;
    await r.load();
    expect(r.error).toBeUndefined();
  });

  it('lets the newest question win over a late answer', async () => {
    const answers: ((value: number) => void)[] = [];
    const r = new Resource(() => new Promise<number>((answer) => answers.push(answer)));
    const first = r.load();
    const second = r.load();
    answers[1]?.(2);
    await second;
    answers[0]?.(1);
    await first;
    expect(r.data).toBe(2);
    expect(r.loading).toBe(false);
  });

  it('turns whatever is thrown into a failure', async () => {
    const r = new Resource(() => Promise.reject(new TypeError('no such thing')));
    await r.load();
    expect(r.error).toMatchObject({ code: 'internal', message: 'no such thing' });
  });
});

describe('events', () => {
  afterEach(() => vi.useRealTimers());

  it('reach those who want their kind, until they do not', () => {
    const heard = vi.fn();
    const off = on('nodes_changed', heard);
    tell({ type: 'nodes_changed' });
    tell({ type: 'sources_changed' });
    off();
    tell({ type: 'nodes_changed' });
    expect(heard).toHaveBeenCalledTimes(1);
  });

  it('in a burst lead to one call', async () => {
    vi.useFakeTimers();
    const run = vi.fn(() => Promise.resolve());
    const soon = settle(run);
    for (let i = 0; i < 50; i += 1) soon();
    await vi.runAllTimersAsync();
    expect(run).toHaveBeenCalledTimes(1);
    soon();
    await vi.runAllTimersAsync();
    expect(run).toHaveBeenCalledTimes(2);
  });

  it('while a call is under way lead to another after it', async () => {
    vi.useFakeTimers();
    const run = vi.fn(() => new Promise<void>((done) => setTimeout(done, 500)));
    const soon = settle(run);
    soon();
    await vi.advanceTimersByTimeAsync(200);
    // What the call under way answers may be older than this.
    soon();
    await vi.runAllTimersAsync();
    expect(run).toHaveBeenCalledTimes(2);
  });

  it('that never end do not keep an answer from coming', async () => {
    vi.useFakeTimers();
    let answers = 0;
    const slow = () =>
      new Promise<void>((done) => setTimeout(() => done(void (answers += 1)), 500));
    const soon = settle(slow);
    for (let i = 0; i < 100; i += 1) {
      soon();
      await vi.advanceTimersByTimeAsync(50);
    }
    expect(answers).toBeGreaterThan(6);
  });
});

describe('the language', () => {
  it('is one Intl accepts, whatever the web view says', () => {
    expect(usableLanguage(['C'])).toBe('en');
    expect(usableLanguage(['C', 'de-AT'])).toBe('de-AT');
    expect(usableLanguage([undefined])).toBe('en');
    expect(() => new Intl.NumberFormat(usableLanguage(['C.UTF-8']))).not.toThrow();
  });
});
