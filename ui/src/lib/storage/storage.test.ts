import { describe, expect, it } from 'vitest';

import { store } from '$/lib/backend/fake/world';

import { PRESETS, StoreForm, type Preset } from './form.svelte';
import { offered, place, usableBy } from './storage.state.svelte';

function form(preset: Preset, values: Partial<StoreForm['values']> = {}): StoreForm {
  const made = new StoreForm();
  made.preset = preset;
  Object.assign(made.values, {
    name: 'Off-site',
    region: 'eu-central-1',
    account: 'a'.repeat(32),
    endpoint: 'http://127.0.0.1:8333',
    bucket: 'acme-backups',
    accessKey: 'key',
    secretKey: 'secret',
    path: '/srv/backups',
    ...values,
  });
  return made;
}

describe('presets', () => {
  it.each([
    ['aws', 'https://s3.eu-central-1.amazonaws.com', 'eu-central-1', false],
    ['b2', 'https://s3.eu-central-1.backblazeb2.com', 'eu-central-1', false],
    ['wasabi', 'https://s3.eu-central-1.wasabisys.com', 'eu-central-1', false],
    ['r2', `https://${'a'.repeat(32)}.r2.cloudflarestorage.com`, 'auto', false],
    ['custom', 'http://127.0.0.1:8333', 'eu-central-1', true],
  ] as const)('%s is at %s', (preset, endpoint, region, path_style) => {
    expect(form(preset).kind).toMatchObject({ type: 's3', endpoint, region, path_style });
  });

  it('reach a bucket with dots in its name through the path', () => {
    expect(form('aws', { bucket: 'a.b.c' }).kind).toMatchObject({ path_style: true });
  });

  it('are all complete when everything is entered', () => {
    for (const preset of PRESETS) expect(form(preset).wrong, preset).toEqual({});
  });
});

describe('the form of a store', () => {
  it('says what is wrong, field by field, and only of fields that are asked for', () => {
    const blank = {
      name: ' ',
      region: '',
      bucket: 'Bad_Name',
      accessKey: '',
      secretKey: '',
      path: 'srv',
    };
    expect(Object.keys(form('aws', blank).wrong).sort()).toEqual([
      'accessKey',
      'bucket',
      'name',
      'region',
      'secretKey',
    ]);
    expect(Object.keys(form('local', blank).wrong).sort()).toEqual(['name', 'path']);
    expect(form('custom', { region: '' }).wrong).toEqual({});
    expect(form('local', { path: '/srv/../etc' }).wrong.path).toBeDefined();
  });

  it('sends what was entered, tidied, and forgets the credentials', () => {
    const made = form('custom', { prefix: '/a/b/', accessKey: ' key ' });
    expect(made.kind).toMatchObject({ prefix: 'a/b' });
    expect(made.credentials).toEqual({ access_key_id: 'key', secret_access_key: 'secret' });
    made.forget();
    expect([made.values.accessKey, made.values.secretKey]).toEqual(['', '']);
    expect(form('local').credentials).toBeNull();
  });

  it('warns of a line that others can listen on', () => {
    expect(form('custom', { endpoint: 'http://10.0.0.4:8333' }).insecure).toBe(true);
    expect(form('custom', { endpoint: 'http://127.0.0.1:8333' }).insecure).toBe(false);
    expect(form('custom', { endpoint: 'https://s3.example' }).insecure).toBe(false);
  });
});

describe('stores', () => {
  const s3 = {
    type: 's3',
    endpoint: 'https://s3.x.com',
    region: 'r',
    bucket: 'b',
    prefix: 'p',
    path_style: false,
  } as const;
  const [own, other, bucket] = [
    store('This server', { type: 'local', path: '/store' }, 'node-a'),
    store('This server', { type: 'local', path: '/store' }, 'node-b'),
    store('Off-site', s3, null),
  ];

  it('of another server cannot be used', () => {
    expect(usableBy('node-a', [own, other, bucket])).toEqual([own, bucket]);
  });

  it('that survive the server are offered first', () => {
    expect(offered([own, bucket])).toBe(bucket);
    expect(offered([own])).toBe(own);
    expect(offered([])).toBeUndefined();
  });

  it('are shown by where they are', () => {
    expect([own, bucket].map(place)).toEqual(['/store', 's3.x.com/b/p']);
  });
});
