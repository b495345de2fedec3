/** When a source is backed up by itself. */

export const schedule = {
  menu: 'Schedule…',
  next: (when: string) => `Next run ${when}`,
  off: 'Not scheduled',
  title: (name: string) => `Schedule of ${name}`,
  when: 'Back up',
  presets: {
    off: 'Off',
    daily: 'Daily',
    weekly: 'Weekly',
    monthly: 'Monthly',
    cron: 'Cron',
  },
  offText: 'It is backed up only when you ask for it.',
  at: 'Time',
  days: 'Days',
  weekdays: {
    monday: 'Mon',
    tuesday: 'Tue',
    wednesday: 'Wed',
    thursday: 'Thu',
    friday: 'Fri',
    saturday: 'Sat',
    sunday: 'Sun',
  },
  day: 'Day of the month',
  lastDay: 'Last day',
  dayHint: 'In a shorter month it is the last day.',
  expression: 'Cron expression',
  expressionHint: 'Minute, hour, day of month, month, day of week: 30 2 * * mon-fri',
  zone: 'Time zone',
  nextThree: 'Next three runs, by your clock',
  spread: (minutes: number) =>
    minutes > 0
      ? `Each begins up to ${minutes} min later, so that servers do not begin at once.`
      : '',
  invalid: 'This cannot be a schedule',
  save: 'Save schedule',
  saving: 'Could not save the schedule',
};
