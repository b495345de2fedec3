/** A schedule as a form edits it, and back. What it says is checked by the desktop. */

import type { Schedule, Weekday } from '$/lib/bindings/bindings';

export const PRESETS = ['off', 'daily', 'weekly', 'monthly', 'cron'] as const;
export type Preset = (typeof PRESETS)[number];

export const WEEKDAYS: readonly Weekday[] = [
  'monday',
  'tuesday',
  'wednesday',
  'thursday',
  'friday',
  'saturday',
  'sunday',
];

/** Every field of every preset, so that a look at another one loses nothing. */
export interface ScheduleForm {
  preset: Preset;
  at: string;
  days: Weekday[];
  day: string;
  expression: string;
  zone: string;
  /** Carried along: so that many servers do not begin at once. */
  jitterSeconds: number;
}

/** The zone of whoever looks. */
export const ownZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

export function formOf(schedule: Schedule | null): ScheduleForm {
  const form: ScheduleForm = {
    preset: 'off',
    at: '03:00',
    days: ['sunday'],
    day: '1',
    expression: '0 3 * * *',
    zone: schedule?.time_zone ?? ownZone(),
    jitterSeconds: schedule?.jitter_seconds ?? 1800,
  };
  const rule = schedule?.rule;
  switch (rule?.type) {
    case 'daily':
      return { ...form, preset: 'daily', at: rule.at };
    case 'weekly':
      return { ...form, preset: 'weekly', at: rule.at, days: [...rule.days] };
    case 'monthly':
      return { ...form, preset: 'monthly', at: rule.at, day: String(rule.day) };
    case 'cron':
      return { ...form, preset: 'cron', expression: rule.expression };
    default:
      return form;
  }
}

/** Null: off. */
export function scheduleOf(form: ScheduleForm): Schedule | null {
  const rule = ruleOf(form);
  return rule && { rule, time_zone: form.zone, jitter_seconds: form.jitterSeconds };
}

function ruleOf({ preset, at, days, day, expression }: ScheduleForm): Schedule['rule'] | null {
  switch (preset) {
    case 'daily':
      return { type: 'daily', at };
    case 'weekly':
      return { type: 'weekly', days: WEEKDAYS.filter((one) => days.includes(one)), at };
    case 'monthly':
      return { type: 'monthly', day: Number(day), at };
    case 'cron':
      return { type: 'cron', expression: expression.trim() };
    case 'off':
      return null;
  }
}
