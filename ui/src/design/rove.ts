/** Arrow keys between the items of a list; Tab goes past it. Items carry `data-rove`. */
export function rove(list: HTMLElement): () => void {
  function key(event: KeyboardEvent) {
    const items = [...list.querySelectorAll<HTMLElement>('[data-rove]')];
    const at = items.findIndex((item) => item === document.activeElement);
    const to = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      Home: 0,
      End: items.length - 1,
    }[event.key];
    if (to === undefined || at < 0) return;
    items[Math.max(0, Math.min(items.length - 1, to))]?.focus();
    event.preventDefault();
  }
  list.addEventListener('keydown', key);
  return () => list.removeEventListener('keydown', key);
}
