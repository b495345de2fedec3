/** A retention as it is typed, and as the desktop takes it. */

import type { Retention } from '$/lib/bindings/bindings';
import { m } from '$/lib/messages';

export const COUNTS = ['keep_last', 'daily', 'weekly', 'monthly', 'yearly'] as const;
export const FIELDS = [...COUNTS, 'keep_within_days', 'quota'] as const;
export type Field = (typeof FIELDS)[number];
export type Typed = Record<Field, string>;

const GIB = 2 ** 30;
const MOST = 2 ** 32 - 1;

/** What is offered for a source that keeps everything so far. */
export const SUGGESTED: Retention = {
  keep_last: 3,
  daily: 14,
  weekly: 8,
  monthly: 12,
  yearly: 2,
};

export function typed(rule: Retention): Typed {
  const quota = rule.quota_bytes ?? null;
  const within = rule.keep_within_days ?? null;
  return {
    keep_last: String(rule.keep_last ?? 0),
    daily: String(rule.daily ?? 0),
    weekly: String(rule.weekly ?? 0),
    monthly: String(rule.monthly ?? 0),
    yearly: String(rule.yearly ?? 0),
    keep_within_days: within === null ? '' : String(within),
    quota: quota === null ? '' : String(Math.round((quota / GIB) * 100) / 100),
  };
}

/** The rule, or what is wrong with each field; `all` when it would keep nothing. */
export function parse(
  form: Typed,
):
  { rule: Retention; wrong: null } | { rule: null; wrong: Partial<Record<Field | 'all', string>> } {
  const wrong: Partial<Record<Field | 'all', string>> = {};
  const whole = (field: Field) => {
    const text = form[field].trim();
    const number = text === '' ? 0 : Number(text);
    if (Number.isInteger(number) && number >= 0 && number <= MOST) return number;
    wrong[field] = m.retention.notWhole;
    return 0;
  };
  const [keep_last = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0] = COUNTS.map(whole);
  const within = whole('keep_within_days');
  const gib = form.quota.trim() === '' ? null : Number(form.quota.trim());
  if (gib !== null && !(gib > 0 && Number.isSafeInteger(Math.round(gib * GIB)))) {
    wrong.quota = m.retention.notSize;
  }
  const sum = keep_last + daily + weekly + monthly + yearly + within;
  if (Object.keys(wrong).length === 0 && sum === 0) wrong.all = m.retention.keepsNothing;
  if (Object.keys(wrong).length > 0) return { rule: null, wrong };
  const rule: Retention = { keep_last, daily, weekly, monthly, yearly };
  if (within > 0) rule.keep_within_days = within;
  if (gib !== null) rule.quota_bytes = Math.round(gib * GIB);
  return { rule, wrong: null };
}
