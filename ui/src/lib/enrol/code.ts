/** The five-character code as people type and paste it. The agent says the same of a code. */

/** Digits and capitals without I, L, O and U (Crockford's base 32). */
const SYMBOLS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

export const CODE_LENGTH = 5;

/** The symbol a character stands for: lower case counts, O is 0, I and L are 1; else undefined. */
export function symbolOf(typed: string): string | undefined {
  const upper = typed.toUpperCase();
  const symbol = { O: '0', I: '1', L: '1' }[upper] ?? upper;
  return symbol.length === 1 && SYMBOLS.includes(symbol) ? symbol : undefined;
}

/** What of a text is a code, and the first character of it that never is. */
export function readCode(text: string): { symbols: string[]; bad?: string } {
  const typed = [...text].filter((c) => !/[\s-]/.test(c));
  const bad = typed.find((c) => symbolOf(c) === undefined);
  const symbols = typed.map(symbolOf).filter((symbol) => symbol !== undefined);
  return { symbols, ...(bad === undefined ? {} : { bad }) };
}

/** What five boxes hold, and which has the focus. */
export interface Boxes {
  symbols: string[];
  focus: number;
  bad?: string;
}

export const emptyBoxes = (): Boxes => ({ symbols: Array<string>(CODE_LENGTH).fill(''), focus: 0 });

/** `text` typed or pasted into box `at`: a whole code fills all boxes wherever it is pasted. */
export function fillBoxes({ symbols }: Boxes, at: number, text: string): Boxes {
  const { symbols: read, bad } = readCode(text);
  const from = read.length >= CODE_LENGTH ? 0 : at;
  const next = symbols.map((old, i) => read[i - from] ?? old);
  const focus = Math.min(CODE_LENGTH - 1, from + read.length);
  return { symbols: next, focus: read.length === 0 ? at : focus, ...(bad ? { bad } : {}) };
}

/** Backspace in box `at`: clears it, or the one before when it is empty. */
export function eraseBox({ symbols }: Boxes, at: number): Boxes {
  const target = symbols[at] === '' ? Math.max(0, at - 1) : at;
  return { symbols: symbols.with(target, ''), focus: target };
}
