import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';

import { emptyBoxes, type Boxes } from '$/lib/enrol/code';

import CodeBoxes from './CodeBoxes.svelte';

function boxes() {
  let now: Boxes = emptyBoxes();
  const props = () => ({ boxes: now, disabled: false, wrong: undefined });
  const view = render(CodeBoxes, {
    ...props(),
    onchange: (next: Boxes) => {
      now = next;
      void view.rerender(props());
    },
  });
  const box = (i: number) => screen.getByTestId<HTMLInputElement>(`enrol-code-${i}`);
  const shown = () => [0, 1, 2, 3, 4].map((i) => box(i).value).join('');
  const focused = () => document.activeElement?.getAttribute('data-testid');
  return { box, shown, focused, code: () => now.symbols.join('') };
}

describe('the five boxes', () => {
  it('advance by themselves and raise what is typed', async () => {
    const { box, shown, focused } = boxes();
    const user = userEvent.setup();
    await user.click(box(0));
    await user.keyboard('xc9');
    expect(focused()).toBe('enrol-code-3');
    await user.keyboard('d2');
    expect(shown()).toBe('XC9D2');
    expect(focused()).toBe('enrol-code-4');
  });

  it('fill from a paste into any of them', async () => {
    const { box, shown } = boxes();
    const user = userEvent.setup();
    await user.click(box(2));
    await user.paste('code: xc9-d2'.slice(6));
    expect(shown()).toBe('XC9D2');
  });

  it('let nothing in that is never part of a code', async () => {
    const { box, shown, code } = boxes();
    const user = userEvent.setup();
    await user.click(box(0));
    await user.keyboard('a u!');
    expect(shown()).toBe('A');
    await user.keyboard('b');
    expect(shown()).toBe('AB');
    expect(code()).toBe('AB');
  });

  it('go back with Backspace, and type over what is there', async () => {
    const { box, shown, focused } = boxes();
    const user = userEvent.setup();
    await user.click(box(0));
    await user.keyboard('abc{Backspace}');
    expect([shown(), focused()]).toEqual(['AB', 'enrol-code-2']);
    await user.keyboard('{Backspace}{Backspace}');
    expect([shown(), focused()]).toEqual(['', 'enrol-code-0']);
    await user.keyboard('xyz');
    await user.click(box(1));
    await user.keyboard('q');
    expect(shown()).toBe('XQZ');
  });

  it('are named for those who do not see them', () => {
    boxes();
    expect(screen.getByRole('textbox', { name: 'Character 3 of 5' })).toBeDefined();
    expect(screen.getByRole('group', { name: 'Code' })).toBeDefined();
  });
});
