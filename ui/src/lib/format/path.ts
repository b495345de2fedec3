/** Paths for people. */

/** A path in two parts, for an ellipsis between them: the last folder and file are always seen. */
export function splitForMiddle(path: string): { head: string; tail: string } {
  const trimmed = path.length > 1 ? path.replace(/\/+$/, '') : path;
  const cut = trimmed.lastIndexOf('/');
  if (cut <= 0) return { head: '', tail: trimmed };
  const tail = trimmed.slice(cut);
  // A last part longer than this would push the head out altogether.
  return tail.length > 28
    ? { head: trimmed.slice(0, -14), tail: trimmed.slice(-14) }
    : { head: trimmed.slice(0, cut), tail };
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.replace(/\/+$/, '').split('/').pop() ?? path;
}
