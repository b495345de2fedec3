/** The address of a server as people type it. Rust has the last word; this catches slips. */

/** The port an agent listens on unless told otherwise. */
export const DEFAULT_PORT = 8000;

/** Without blanks, scheme and trailing slash. */
export function tidyAddress(typed: string): string {
  return typed
    .trim()
    .replace(/^https?:\/\//i, '')
    .replace(/\/+$/, '');
}

/** Whether it could be `host`, `host:port`, `1.2.3.4`, `[::1]:8000`. */
export function isAddress(address: string): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[^\s:/[\]]+)(?::(\d{1,5}))?$/i.exec(address);
  if (!match) return /^[0-9a-f]*:[0-9a-f:]+$/i.test(address);
  const port = match[2];
  return port === undefined || (Number(port) > 0 && Number(port) < 65536);
}
