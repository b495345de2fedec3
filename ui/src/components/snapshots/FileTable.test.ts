import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';

import { useBackend } from '$/lib/backend';
import { FakeBackend } from '$/lib/backend/fake';
import type { SnapshotView } from '$/lib/bindings/bindings';

import FileBrowser from './FileBrowser.svelte';

describe('the file browser', () => {
  let fake: FakeBackend;
  const user = userEvent.setup();

  beforeEach(async () => {
    fake = new FakeBackend();
    useBackend(fake);
    const [snapshot] = fake.world.snapshots;
    render(FileBrowser, { snapshot: snapshot as SnapshotView });
    await screen.findByTestId('files');
  });

  const grid = () => screen.getByRole('grid', { name: 'Files' });
  const row = (path: string) => document.querySelector<HTMLElement>(`[data-path="${path}"]`);
  const said = () => screen.getByTestId('selection').textContent?.trim();

  it('is walked and chosen from with the keyboard alone', async () => {
    grid().focus();
    await user.keyboard('{ArrowDown} ');
    expect(row('backup.json')?.getAttribute('aria-selected')).toBe('true');
    expect(said()).toBe('1 file, 3.1 KiB');
    await user.keyboard('{Home}{Enter}');
    await expect.poll(() => row('files/wp-config.php')).not.toBeNull();
    await user.keyboard('{Control>}a{/Control}');
    expect(said()).toMatch(/^46,823 files/);
    await user.keyboard('{Backspace}{Escape}');
    expect(said()).toMatch(/^Nothing selected: the whole snapshot/);
    expect(grid().getAttribute('aria-activedescendant')).toBe(row('files')?.id);
  });

  it('draws only the rows that can be seen', async () => {
    for (const path of ['files', 'files/wp-content', 'files/wp-content/uploads']) {
      await user.dblClick(row(path) as HTMLElement);
      await expect.poll(() => row(path)).toBeNull();
    }
    await user.dblClick(row('files/wp-content/uploads/2023') as HTMLElement);
    await expect.poll(() => grid().getAttribute('aria-rowcount')).toBe('4000');
    expect(screen.getAllByTestId('file-row').length).toBeLessThan(60);
  });

  it('restores what is chosen, into the folder that was chosen', async () => {
    await user.click(screen.getAllByTestId('file-check')[1] as HTMLElement);
    await user.click(screen.getByTestId('restore-open'));
    await user.click(await screen.findByTestId('restore-submit'));
    expect(await screen.findByTestId('restore-folder-wrong')).toBeDefined();
    await user.click(screen.getByTestId('restore-choose'));
    await expect
      .poll(() => screen.getByTestId<HTMLInputElement>('restore-folder').value)
      .toBe('/home/ada/Restored');
    await user.click(screen.getByTestId('restore-submit'));
    const restores = () => fake.calls.filter(({ name }) => name === 'snapshotRestore');
    await expect.poll(restores).toHaveLength(1);
    expect(restores()[0]?.args.slice(1)).toEqual([['backup.json'], '/home/ada/Restored']);
  });
});
