import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { errors } from './errors';

describe('the table of errors', () => {
  it('has words for exactly the codes there are', () => {
    // The generated type is gone at run time: read the codes where they are written.
    const source = readFileSync('src/lib/bindings/bindings.ts', 'utf8');
    const bindings = source.replace(/\/\*[\s\S]*?\*\//g, '');
    const type = /export type Code =([^;]*);/.exec(bindings)?.[1] ?? '';
    const codes = [...type.matchAll(/"([a-z_]+)"/g)].map(([, code]) => code);
    expect(codes.length).toBeGreaterThan(15);
    expect(Object.keys(errors).sort()).toEqual(codes.sort());
  });

  it('says what happened in a phrase and what to do in sentences', () => {
    for (const [code, { title, next }] of Object.entries(errors)) {
      expect(title, code).toMatch(/^[A-Z][^.]*[^.]$/);
      expect(next, code).toMatch(/^[A-Z].*\.$/);
      expect(title.length, code).toBeLessThan(48);
    }
  });
});
