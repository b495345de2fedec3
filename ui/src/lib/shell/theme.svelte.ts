/** Light, dark, or as the system has it. Local to this page. */

import { store, stored } from './stored';

export type ThemeChoice = 'light' | 'dark' | 'system';

const isChoice = (value: unknown): value is ThemeChoice =>
  value === 'light' || value === 'dark' || value === 'system';

class Theme {
  #choice = $state<ThemeChoice>(stored('theme', isChoice) ?? 'system');
  #systemDark = $state(false);

  get choice(): ThemeChoice {
    return this.#choice;
  }

  /** What is to be seen now. */
  get shown(): 'light' | 'dark' {
    if (this.#choice !== 'system') return this.#choice;
    return this.#systemDark ? 'dark' : 'light';
  }

  choose(choice: ThemeChoice): void {
    this.#choice = choice;
    store('theme', choice);
    this.#apply();
  }

  /** Follows the system from now on. */
  start(): () => void {
    const query = matchMedia('(prefers-color-scheme: dark)');
    const follow = () => {
      this.#systemDark = query.matches;
      this.#apply();
    };
    follow();
    query.addEventListener('change', follow);
    return () => query.removeEventListener('change', follow);
  }

  #apply(): void {
    document.documentElement.dataset['theme'] = this.shown;
  }
}

export const theme = new Theme();
