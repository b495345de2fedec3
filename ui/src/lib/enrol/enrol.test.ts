import { beforeEach, describe, expect, it } from 'vitest';

import { useBackend } from '$/lib/backend';
import { FAKE_CODE, FakeBackend } from '$/lib/backend/fake';
import { empty } from '$/lib/backend/fake/world';
import { tell } from '$/lib/shell/events';

import { isAddress, tidyAddress } from './address';
import { emptyBoxes, eraseBox, fillBoxes, readCode, symbolOf, type Boxes } from './code';
import { Enrolment } from './enrol.state.svelte';

const boxes = (text: string, focus = 0): Boxes => ({
  symbols: Array.from({ length: 5 }, (_, i) => (text[i] ?? ' ').trim()),
  focus,
});

describe('a code', () => {
  it('has 32 symbols; what looks like one counts as it', () => {
    const all = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_. äß';
    const symbols = new Set([...all].map(symbolOf).filter((s) => s !== undefined));
    expect(symbols.size).toBe(32);
    expect(['o', 'I', 'l', 'U', 'ä', ''].map(symbolOf)).toEqual([
      '0',
      '1',
      '1',
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('is read from what was pasted around it', () => {
    expect(readCode(' xc-9d2\n')).toEqual({ symbols: ['X', 'C', '9', 'D', '2'] });
    expect(readCode('xu9')).toEqual({ symbols: ['X', '9'], bad: 'u' });
  });
});

describe('five boxes', () => {
  it('advance as they are typed into, and stay at the last', () => {
    let now = emptyBoxes();
    for (const [i, c] of [...'xc9d2'].entries()) {
      now = fillBoxes(now, i, c);
      expect(now.focus).toBe(Math.min(4, i + 1));
    }
    expect(now.symbols.join('')).toBe('XC9D2');
  });

  it('take a whole code pasted into any of them', () => {
    expect(fillBoxes(emptyBoxes(), 3, 'XC9D2').symbols.join('')).toBe('XC9D2');
    expect(fillBoxes(boxes('AB'), 2, '9d').symbols).toEqual(['A', 'B', '9', 'D', '']);
    expect(fillBoxes(emptyBoxes(), 0, 'XC9D2EXTRA').symbols.join('')).toBe('XC9D2');
  });

  it('keep what they have when something else is typed, and say what it was', () => {
    expect(fillBoxes(boxes('AB'), 2, 'u')).toEqual({
      symbols: ['A', 'B', '', '', ''],
      focus: 2,
      bad: 'u',
    });
  });

  it('go back with Backspace: first the box itself, then the one before', () => {
    const first = eraseBox(boxes('ABC'), 2);
    expect(first).toEqual({ symbols: ['A', 'B', '', '', ''], focus: 2 });
    const second = eraseBox(first, 2);
    expect(second).toEqual({ symbols: ['A', '', '', '', ''], focus: 1 });
    expect(eraseBox(emptyBoxes(), 0).focus).toBe(0);
  });
});

describe('an address', () => {
  it.each(['host', 'host.example:8000', '10.0.0.1', '[2001:db8::1]:8000', '2001:db8::1', '[::1]'])(
    '%s could be one',
    (address) => expect(isAddress(address)).toBe(true),
  );
  it.each(['', 'a b', 'host:', 'host:0', 'host:65536', 'host/path', '[::1'])(
    '%s is none',
    (address) => expect(isAddress(address)).toBe(false),
  );
  it('loses what a browser would add', () => {
    expect(tidyAddress(' https://host.example:8000/ ')).toBe('host.example:8000');
  });
});

describe('an enrolment', () => {
  let fake: FakeBackend;
  let enrolment: Enrolment;

  beforeEach(async () => {
    fake = new FakeBackend({ world: empty() });
    useBackend(fake);
    await fake.listen(tell);
    enrolment = new Enrolment();
    enrolment.start();
  });

  const enter = (address: string, code: string) => {
    enrolment.address = address;
    enrolment.boxes = fillBoxes(emptyBoxes(), 0, code);
  };

  it('asks nothing of the desktop before address and code can be ones', async () => {
    expect(enrolment.addressWrong).toBeUndefined();
    await enrolment.join();
    expect(enrolment.addressWrong).toBeDefined();
    expect(enrolment.codeWrong).toBeDefined();
    expect(fake.calls).toEqual([]);
  });

  it('goes from the code to the first running backups', async () => {
    enter('https://web.example/', 'xc9d2');
    await enrolment.join();
    expect(enrolment.phase).toBe('sites');
    expect(fake.calls[0]).toEqual({ name: 'nodeEnrol', args: ['web.example', FAKE_CODE] });
    expect(enrolment.stepState('enrolled')).toBe('done');
    expect(enrolment.fingerprint).toMatch(/^([0-9a-f]{4} ){7}[0-9a-f]{4}$/);
    // What something stands against is not chosen by itself.
    expect(enrolment.sites).toHaveLength(3);
    expect(enrolment.chosen.size).toBe(2);
    await enrolment.protect();
    expect(enrolment.phase).toBe('running');
    expect(enrolment.started).toHaveLength(2);
    expect(fake.world.sources.every(({ providers }) => providers.length === 1)).toBe(true);
  });

  it('says where a rejected code stopped it, and takes the next', async () => {
    enter('web.example', 'AAAAA');
    await enrolment.join();
    expect(enrolment.error?.code).toBe('code_rejected');
    expect(enrolment.stepState('connecting')).toBe('done');
    expect(enrolment.stepState('proving')).toBe('failed');
    expect(enrolment.code).toBe('');
    enter('web.example', FAKE_CODE);
    await enrolment.join();
    expect(enrolment.phase).toBe('sites');
  });

  it('keeps the code when the server could not be reached: it was not used', async () => {
    enter('gone.example', FAKE_CODE);
    await enrolment.join();
    expect(enrolment.error?.code).toBe('unavailable');
    expect(enrolment.code).toBe(FAKE_CODE);
    expect(enrolment.stepState('connecting')).toBe('failed');
  });

  it('protects the rest on a retry, and nothing twice', async () => {
    enter('web.example', FAKE_CODE);
    await enrolment.join();
    const start = fake.jobStart;
    let refusals = 1;
    fake.jobStart = (id) => (refusals-- > 0 ? Promise.reject(new Error('busy')) : start(id));
    await enrolment.protect();
    expect(enrolment.phase).toBe('sites');
    expect(enrolment.error).toBeDefined();
    await enrolment.protect();
    expect(enrolment.phase).toBe('running');
    expect(fake.world.sources).toHaveLength(2);
    expect(enrolment.started).toHaveLength(2);
  });
});
