import { render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';

import { Failure, useBackend } from '$/lib/backend';
import { FakeBackend } from '$/lib/backend/fake';

import ScheduleDialog from './ScheduleDialog.svelte';

describe('the schedule of a source', () => {
  let fake: FakeBackend;
  const user = userEvent.setup();
  const source = () => {
    const [first] = fake.world.sources;
    if (!first) throw new Error('the world has no source');
    return first;
  };
  const runs = () => screen.queryByTestId('schedule-next')?.querySelectorAll('time').length ?? 0;
  const asked = () => fake.calls.filter(({ name }) => name === 'schedulePreview');

  beforeEach(() => {
    fake = new FakeBackend();
    useBackend(fake);
    render(ScheduleDialog, { open: true, source: source() });
  });

  it('shows the next three runs of what is chosen, live', async () => {
    await waitFor(() => expect(runs()).toBe(3));
    const before = asked().length;
    await user.click(screen.getByTestId('schedule-preset-weekly'));
    await user.click(screen.getByTestId('schedule-day-monday'));
    await waitFor(() => expect(asked().length).toBeGreaterThan(before));
    expect(asked().at(-1)?.args[0]).toMatchObject({
      rule: { type: 'weekly', days: ['monday', 'sunday'], at: '03:00' },
      time_zone: 'Europe/Berlin',
    });
  });

  it('says what is wrong, and does not save it', async () => {
    await user.click(screen.getByTestId('schedule-preset-cron'));
    const expression = screen.getByTestId('schedule-expression');
    await user.clear(expression);
    await user.type(expression, '0 3 * *');
    await waitFor(() =>
      expect(screen.getByTestId('schedule-wrong').dataset['code']).toBe('invalid'),
    );
    expect(screen.getByTestId<HTMLButtonElement>('schedule-save').disabled).toBe(true);
    await user.type(expression, ' *');
    await waitFor(() => expect(runs()).toBe(3));
    await user.click(screen.getByTestId('schedule-save'));
    await waitFor(() =>
      expect(source().schedule?.rule).toEqual({ type: 'cron', expression: '0 3 * * *' }),
    );
  });

  it('is turned off', async () => {
    await user.click(screen.getByTestId('schedule-preset-off'));
    expect(screen.queryByTestId('schedule-next')).toBeNull();
    await user.click(screen.getByTestId('schedule-save'));
    await waitFor(() => expect(source().schedule).toBeNull());
  });

  it('stays open with what was typed when it cannot be saved', async () => {
    fake.fail.sourceSchedule = new Failure('unavailable', 'set the schedule: no answer');
    await user.click(screen.getByTestId('schedule-save'));
    expect((await screen.findByTestId('schedule-error')).dataset['code']).toBe('unavailable');
    expect(screen.getByTestId('schedule')).toBeDefined();
  });
});
