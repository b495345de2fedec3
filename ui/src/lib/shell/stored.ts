/** Small choices of this window (theme, column widths), kept by the page. Losing them costs nothing. */

export function stored<T>(key: string, valid: (value: unknown) => value is T): T | undefined {
  try {
    const text = localStorage.getItem(`backupd.${key}`);
    const value: unknown = text === null ? undefined : JSON.parse(text);
    return valid(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function store(key: string, value: unknown): void {
  try {
    localStorage.setItem(`backupd.${key}`, JSON.stringify(value));
  } catch {
    // A full or forbidden store: the choice lasts until the window closes.
  }
}
