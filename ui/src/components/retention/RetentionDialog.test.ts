import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';

import { Failure, useBackend } from '$/lib/backend';
import { FakeBackend } from '$/lib/backend/fake';
import type { SourceView } from '$/lib/bindings/bindings';

import RetentionDialog from './RetentionDialog.svelte';

describe('the retention of a source', () => {
  let fake: FakeBackend;
  let source: SourceView;
  const user = userEvent.setup();
  const field = (name: string) => screen.getByTestId<HTMLInputElement>(`retention-${name}`);
  const saved = () => fake.calls.filter(({ name }) => name === 'sourceRetention').at(-1)?.args;

  beforeEach(() => {
    fake = new FakeBackend();
    useBackend(fake);
    const id = fake.world.snapshots[0]?.source_id;
    source = fake.world.sources.find((each) => each.id === id) as SourceView;
    render(RetentionDialog, { open: true, source });
  });

  async function type(name: string, text: string) {
    await user.clear(field(name));
    if (text) await user.type(field(name), text);
  }

  it('shows what a rule would do before it is saved', async () => {
    await user.click(screen.getByTestId('retention-everything'));
    expect(field('daily').value).toBe('14');
    for (const name of ['daily', 'weekly', 'monthly', 'yearly']) await type(name, '');
    await type('keep_last', '1');
    const count = fake.world.snapshots.filter((each) => each.source_id === source.id).length;
    expect(count).toBeGreaterThan(1);
    const goes = () =>
      screen
        .getAllByTestId('retention-line')
        .filter((line) => line.dataset['decision'] === 'remove').length;
    await expect.poll(goes).toBe((count - 1) * source.providers.length);
    expect(screen.getByTestId('retention-summary').textContent).toMatch(/would go and free/);
    expect(saved()).toBeUndefined();

    await user.click(screen.getByTestId('retention-save'));
    const rule = { keep_last: 1, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
    await expect.poll(saved).toEqual([source.id, rule]);
    expect(fake.world.sources.find(({ id }) => id === source.id)?.retention).toEqual(rule);
  });

  it('refuses a rule that keeps nothing, and what is no number', async () => {
    await user.click(screen.getByTestId('retention-everything'));
    for (const name of ['keep_last', 'daily', 'weekly', 'monthly', 'yearly']) await type(name, '0');
    expect(await screen.findByTestId('retention-wrong')).toBeDefined();
    expect(screen.getByTestId<HTMLButtonElement>('retention-save').disabled).toBe(true);
    await type('keep_last', '1.5');
    expect(await screen.findByTestId('retention-keep_last-wrong')).toBeDefined();
    await type('keep_last', '2');
    await type('quota', '0.5');
    await user.click(screen.getByTestId('retention-save'));
    await expect
      .poll(saved)
      .toEqual([source.id, expect.objectContaining({ quota_bytes: 2 ** 29 })]);
  });

  it('keeps everything again, and says why it could not be saved', async () => {
    fake.fail.sourceRetention = new Failure('disk_full', 'keep the retention: no space');
    await user.click(screen.getByTestId('retention-save'));
    expect((await screen.findByTestId('retention-error')).dataset['code']).toBe('disk_full');
    delete fake.fail.sourceRetention;
    await user.click(screen.getByTestId('retention-save'));
    await expect.poll(saved).toEqual([source.id, null]);
  });
});
