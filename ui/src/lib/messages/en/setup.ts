/** The first run. */

export const setup = {
  title: 'Welcome to Backupd',
  steps: ['Name', 'Recovery kit'],
  step: (now: number, of: number) => `Step ${now} of ${of}`,
  tenantTitle: 'Whose data is it?',
  tenantText:
    'Backups belong to a company, a client or yourself. Backupd makes a key for it now: everything is encrypted on the server before it leaves, and only this key opens it.',
  tenantLabel: 'Name',
  tenantExample: 'Acme Ltd',
  tenantMissing: 'Enter a name.',
  create: 'Make the keys',
  creating: 'Could not make the keys',
  kitTitle: 'Save the recovery kit',
  kitText:
    'The key lives in this computer’s keyring. If the computer is lost, this kit is the only other way to your backups. Save it, print it, and keep it away from here.',
  kitLabel: 'Save the kit to',
  choose: 'Choose…',
  save: 'Save and go on',
  saving: 'Could not save the recovery kit',
  kitHint: 'A page to print. Anyone who has it can open the backups: treat it like a house key.',
  pathMissing: 'Choose where to save it.',
  keysMade: (name: string) => `Keys for ${name} are in the keyring`,
  recipient: 'Public key',
  keyring: 'The keyring cannot be used',
  whatGoesOn: 'Nothing can be backed up before the kit is saved: a backup nobody can open is none.',
};
