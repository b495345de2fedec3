import { describe, expect, it } from 'vitest';

import { Failure } from '$/lib/backend';

import { Action } from './action.svelte';

describe('an action', () => {
  it('is busy until it is done, and forgets what it failed with before', async () => {
    const action = new Action();
    const failure = Failure.of({ code: 'conflict', message: 'a job runs' });
    expect(await action.run(() => Promise.reject(failure))).toBe(false);
    expect([action.busy, action.error?.code]).toEqual([false, 'conflict']);

    const done = action.run(() => Promise.resolve());
    expect([action.busy, action.error]).toEqual([true, undefined]);
    expect(await done).toBe(true);
    expect(action.busy).toBe(false);
  });

  it('takes a failure from sight on request', async () => {
    const action = new Action();
    await action.run(() => Promise.reject(new Error('no')));
    action.forget();
    expect(action.error).toBeUndefined();
  });
});
