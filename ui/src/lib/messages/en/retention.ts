/** Which snapshots stay, and why. */

import { bytes, plural } from '$/lib/format';

export const retention = {
  open: 'Retention…',
  title: (name: string) => `Which snapshots of ${name} stay`,
  everything: 'Keep every snapshot',
  everythingHint: 'Nothing is ever removed, until a store is full.',
  fields: {
    keep_last: 'Newest',
    daily: 'Daily',
    weekly: 'Weekly',
    monthly: 'Monthly',
    yearly: 'Yearly',
    keep_within_days: 'All of the last days',
    quota: 'At most, in GiB',
  },
  hint: 'A snapshot stays when any of these asks for it: the newest of each of the last so many days, weeks, months and years.',
  quotaHint: 'In each store. Beyond it the oldest go.',
  never: 'The newest good snapshot and those that are held never go.',
  notWhole: 'A whole number',
  notSize: 'A size above 0',
  keepsNothing: 'This would keep nothing. Ask for at least one snapshot.',
  previewing: 'Could not work out what would stay',
  loading: 'Working out what would stay…',
  none: 'There is no snapshot yet.',
  list: 'What would become of each snapshot',
  summary: (kept: number, gone: number, freed: number) =>
    gone === 0
      ? `All ${plural(kept, 'copy', 'copies')} would stay`
      : `${plural(kept, 'copy', 'copies')} would stay, ${gone} would go and free ${bytes(freed)}`,
  over: (size: number) => `What must stay takes ${bytes(size)} more than that`,
  stays: 'Stays',
  goes: 'Goes',
  reasons: {
    last: 'one of the newest',
    daily: 'of its day',
    weekly: 'of its week',
    monthly: 'of its month',
    yearly: 'of its year',
    within: 'of the last days',
    held: 'held',
    newest_verified: 'newest good one',
    not_yet_proven: 'not yet proven',
    future: 'dated in the future',
    unknown: 'not in the catalogue',
  },
  gone: { rule: 'nothing asks for it', quota: 'no room for it' },
  when: 'It is kept to after the next backup, or within a day. Nothing goes at once.',
  save: 'Save',
  saving: 'Could not save it',
};
