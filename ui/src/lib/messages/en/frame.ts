/** What every view has. */

export const common = {
  cancel: 'Cancel',
  close: 'Close',
  copied: 'Copied',
  copy: 'Copy',
  copyDetails: 'Copy details',
  copyFailed: 'Could not copy',
  done: 'Done',
  loading: 'Loading',
  more: 'More actions',
  none: '–',
  resize: (column: string) => `Width of the column ${column}`,
  tryAgain: 'Try again',
  unknown: 'unknown',
};

export const app = {
  name: 'Backupd',
  notHere: 'This page is the inside of the Backupd application. Open the application instead.',
  skip: 'Skip to content',
  theme: 'Theme',
  themes: { light: 'Light', dark: 'Dark', system: 'As the system' },
  navigation: 'Views',
  addNode: 'Add node',
};
