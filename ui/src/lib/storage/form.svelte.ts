/** The form of a new store: what a preset asks for, what is wrong with it, what it becomes. */

import type { CredentialsInput, ProviderKind } from '$/lib/bindings/bindings';
import { m } from '$/lib/messages';

export type Preset = 'aws' | 'b2' | 'r2' | 'wasabi' | 'custom' | 'local';

export const PRESETS: readonly Preset[] = ['aws', 'b2', 'r2', 'wasabi', 'custom', 'local'];

export type Field =
  | 'name'
  | 'region'
  | 'account'
  | 'endpoint'
  | 'bucket'
  | 'prefix'
  | 'accessKey'
  | 'secretKey'
  | 'path';

const COMMON: readonly Field[] = ['name', 'bucket', 'prefix', 'accessKey', 'secretKey'];

/** What each provider needs to be told. */
const FIELDS: Record<Preset, readonly Field[]> = {
  aws: ['region', ...COMMON],
  b2: ['region', ...COMMON],
  r2: ['account', ...COMMON],
  wasabi: ['region', ...COMMON],
  custom: ['endpoint', 'region', ...COMMON],
  local: ['name', 'path'],
};

/** A region to begin with, in the provider's own spelling. */
export const REGION_EXAMPLE: Partial<Record<Preset, string>> = {
  aws: 'eu-central-1',
  b2: 'eu-central-003',
  wasabi: 'eu-central-1',
  custom: 'us-east-1',
};

const REGION = /^[a-z0-9][a-z0-9-]*$/;

export class StoreForm {
  preset = $state<Preset>('aws');
  values = $state<Record<Field, string>>({
    name: '',
    region: '',
    account: '',
    endpoint: '',
    bucket: '',
    prefix: '',
    accessKey: '',
    secretKey: '',
    path: '',
  });
  pathStyle = $state(true);

  get fields(): readonly Field[] {
    return FIELDS[this.preset];
  }

  has(field: Field): boolean {
    return this.fields.includes(field);
  }

  /** The address a preset stands for, in the form its provider documents. */
  get endpoint(): string {
    const { region, account, endpoint } = this.values;
    switch (this.preset) {
      case 'aws':
        return `https://s3.${region.trim()}.amazonaws.com`;
      case 'b2':
        return `https://s3.${region.trim()}.backblazeb2.com`;
      case 'wasabi':
        return `https://s3.${region.trim()}.wasabisys.com`;
      case 'r2':
        return `https://${account.trim()}.r2.cloudflarestorage.com`;
      case 'custom':
        return endpoint.trim();
      case 'local':
        return '';
    }
  }

  /** What is wrong, by field; empty when it can be sent. */
  get wrong(): Partial<Record<Field, string>> {
    const checks: Partial<Record<Field, (value: string) => boolean>> = {
      name: (value) => value !== '',
      region: (value) => REGION.test(value) || (this.preset === 'custom' && value === ''),
      account: (value) => /^[0-9a-f]{32}$/i.test(value),
      endpoint: (value) => /^https?:\/\/[^\s/]+/.test(value),
      bucket: (value) => /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(value),
      accessKey: (value) => value !== '',
      secretKey: (value) => value !== '',
      path: (value) => value.startsWith('/') && !value.split('/').includes('..'),
    };
    const wrong: Partial<Record<Field, string>> = {};
    for (const field of this.fields) {
      const good = checks[field];
      const words = m.storage.wrong[field as keyof typeof m.storage.wrong];
      if (good && !good(this.values[field].trim())) wrong[field] = words;
    }
    return wrong;
  }

  /** Sent in the clear: an access key on such a line can be read by others. */
  get insecure(): boolean {
    return /^http:\/\/(?!127\.0\.0\.1|localhost|\[::1\])/.test(this.endpoint);
  }

  get kind(): ProviderKind {
    const { path, region, bucket, prefix } = this.values;
    if (this.preset === 'local') return { type: 'local', path: path.trim() };
    return {
      type: 's3',
      endpoint: this.endpoint,
      region: this.preset === 'r2' ? 'auto' : region.trim() || 'us-east-1',
      bucket: bucket.trim(),
      prefix: prefix.trim().replace(/^\/+|\/+$/g, ''),
      // A bucket with dots in its name has no certificate of its own.
      path_style: this.preset === 'custom' ? this.pathStyle : bucket.includes('.'),
    };
  }

  get credentials(): CredentialsInput | null {
    if (this.preset === 'local') return null;
    const { accessKey, secretKey } = this.values;
    return { access_key_id: accessKey.trim(), secret_access_key: secretKey.trim() };
  }

  /** Nothing of a secret stays in the page once it was sent. */
  forget(): void {
    this.values.accessKey = '';
    this.values.secretKey = '';
  }
}
