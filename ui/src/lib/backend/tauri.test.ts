import { beforeEach, describe, expect, it, vi } from 'vitest';

import { FakeBackend } from './fake';
import { tauri } from './tauri';

/** What stands in for Rust below the page's own bridge: every call gets the same answer. */
const calls: unknown[][] = [];
let answer: () => Promise<unknown>;

const refuse = (reason: unknown) => {
  answer = async () => {
    throw reason;
  };
};

/** What `call` rejects with. */
const refusal = (call: Promise<unknown>) =>
  call.then(
    () => 'nothing',
    (thrown: unknown) => thrown,
  );

describe('the desktop as a backend', () => {
  beforeEach(() => {
    calls.length = 0;
    answer = () => Promise.resolve(null);
    vi.stubGlobal('__TAURI_INTERNALS__', {
      invoke: (command: string, args: unknown) => {
        calls.push([command, args]);
        return answer();
      },
    });
    return () => vi.unstubAllGlobals();
  });

  it('calls the command of the same name', async () => {
    await tauri.nodeScan('n-1', null);
    await tauri.snapshotRestore('s', ['a'], '/tmp');
    expect(calls).toEqual([
      ['node_scan', { nodeId: 'n-1', base: null }],
      ['snapshot_restore', { snapshotId: 's', paths: ['a'], folder: '/tmp' }],
    ]);
  });

  it('rejects with the code of the desktop', async () => {
    refuse({ code: 'keyring_locked', message: 'open the keyring' });
    expect(await refusal(tauri.setupCreate('Acme'))).toMatchObject({
      name: 'Failure',
      code: 'keyring_locked',
      message: 'open the keyring',
    });
  });

  it.each([new TypeError('no such command'), 'no such command'])(
    'rejects with a failure also where the call itself went wrong: %s',
    async (reason) => {
      refuse(reason);
      expect(await refusal(tauri.overviewGet())).toMatchObject({
        name: 'Failure',
        code: 'internal',
        message: 'no such command',
      });
    },
  );

  it('can do what the backend in memory can', () => {
    const fake = new FakeBackend();
    for (const name of Object.keys(tauri)) expect(fake, name).toHaveProperty(name);
  });
});
