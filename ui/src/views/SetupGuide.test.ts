import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';

import { Failure, useBackend } from '$/lib/backend';
import { FakeBackend } from '$/lib/backend/fake';
import { firstRun } from '$/lib/backend/fake/world';
import { setup } from '$/lib/setup/setup.state.svelte';

import SetupGuide from './SetupGuide.svelte';

describe('the first run', () => {
  let fake: FakeBackend;
  const user = userEvent.setup();

  beforeEach(async () => {
    fake = new FakeBackend({ world: firstRun() });
    useBackend(fake);
    await setup.status.load();
  });

  it('asks whose data it is, and makes no keys for nobody', async () => {
    render(SetupGuide);
    await user.click(screen.getByTestId('setup-create'));
    expect(await screen.findByTestId('setup-tenant-wrong')).toBeDefined();
    expect(fake.calls.map(({ name }) => name)).not.toContain('setupCreate');
  });

  it('does not go on before the recovery kit is saved', async () => {
    render(SetupGuide);
    await user.type(screen.getByTestId('setup-tenant'), '  Acme Ltd ');
    await user.click(screen.getByTestId('setup-create'));
    const path = await screen.findByTestId<HTMLInputElement>('setup-kit-path');
    expect(fake.world.tenant?.name).toBe('Acme Ltd');
    expect(setup.stage).toBe('kit');
    expect(path.value).toBe('/home/ada/Documents/Backupd recovery kit.html');

    fake.fail.setupSaveKit = new Failure('already_exists', 'save the kit: something is there');
    await user.click(screen.getByTestId('setup-save'));
    expect((await screen.findByTestId('setup-error')).dataset['code']).toBe('already_exists');
    expect(setup.stage).toBe('kit');

    delete fake.fail.setupSaveKit;
    await user.clear(path);
    await user.click(screen.getByTestId('setup-save'));
    expect(setup.stage).toBe('kit');
    await user.type(path, '/media/usb/kit.html');
    await user.click(screen.getByTestId('setup-save'));
    await expect.poll(() => setup.stage).toBe('over');
    expect(fake.calls.filter(({ name }) => name === 'setupSaveKit').at(-1)?.args).toEqual([
      '/media/usb/kit.html',
    ]);
  });

  it('stops at a locked keyring, and goes on when it is open', async () => {
    fake.world.keyringLocked = true;
    await setup.status.load();
    render(SetupGuide);
    expect(screen.getByTestId('setup-keyring').dataset['code']).toBe('keyring_locked');
    expect(screen.queryByTestId('setup-tenant')).toBeNull();
    fake.world.keyringLocked = false;
    await user.click(screen.getByTestId('setup-keyring-action'));
    expect(await screen.findByTestId('setup-tenant')).toBeDefined();
  });
});
