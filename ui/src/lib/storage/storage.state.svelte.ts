/** The stores there are, and which of them a node can use. */

import type { ProviderView } from '$/lib/bindings/bindings';
import { m } from '$/lib/messages';
import { on, settle } from '$/lib/shell/events';
import { Resource } from '$/lib/shell/resource.svelte';

import { listProviders } from './storage.api';

export class StorageState {
  readonly list = new Resource(listProviders);

  name(id: string): string | undefined {
    return this.list.data?.find((provider) => provider.id === id)?.name;
  }

  start(): () => void {
    const soon = settle(this.list.load);
    void this.list.load();
    // A node brings a store of its own; sources and snapshots change what is counted.
    const off = [
      on('nodes_changed', soon),
      on('sources_changed', soon),
      on('snapshots_changed', soon),
    ];
    return () => off.forEach((end) => end());
  }
}

/** Those a node can be given: its own and the shared ones. */
export function usableBy(nodeId: string, providers: readonly ProviderView[]): ProviderView[] {
  return providers.filter(({ node_id }) => node_id === null || node_id === nodeId);
}

/** The one offered first: a bucket, since it survives the server. */
export function offered(usable: readonly ProviderView[]): ProviderView | undefined {
  return usable.find(({ kind }) => kind.type === 's3') ?? usable[0];
}

/** Where it is, in one line. */
export function place({ kind }: ProviderView): string {
  if (kind.type === 'local') return kind.path;
  const host = kind.endpoint.replace(/^https?:\/\//, '');
  return `${host}/${[kind.bucket, kind.prefix].filter(Boolean).join('/')}`;
}

/** What its kind is called. */
export function kindName({ kind }: ProviderView): string {
  return m.storage.kinds[kind.type];
}

export const storage = new StorageState();
