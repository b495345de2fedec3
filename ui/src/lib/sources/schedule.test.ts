import { describe, expect, it } from 'vitest';

import type { Schedule } from '$/lib/bindings/bindings';

import { formOf, ownZone, scheduleOf } from './schedule';

describe('a schedule in a form', () => {
  const rules: Schedule['rule'][] = [
    { type: 'daily', at: '04:30' },
    { type: 'weekly', days: ['monday', 'sunday'], at: '04:30' },
    { type: 'monthly', day: 31, at: '04:30' },
    { type: 'cron', expression: '30 2 * * mon-fri' },
  ];

  it.each(rules)('comes back as it was: $type', (rule) => {
    const schedule = { rule, time_zone: 'Asia/Tokyo', jitter_seconds: 60 };
    expect(scheduleOf(formOf(schedule))).toEqual(schedule);
  });

  it('is off without one, and by the clock of whoever looks', () => {
    const form = formOf(null);
    expect(scheduleOf(form)).toBeNull();
    expect(form.zone).toBe(ownZone());
    expect(scheduleOf({ ...form, preset: 'daily' })?.rule).toEqual({ type: 'daily', at: '03:00' });
  });
});
