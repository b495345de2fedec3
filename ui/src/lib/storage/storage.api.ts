/** Stores. Credentials go in and never come out. */

import { backend } from '$/lib/backend';
import type { CredentialsInput, ProviderKind, ProviderView } from '$/lib/bindings/bindings';

export const listProviders = () => backend().providersList();

export const addProvider = (
  name: string,
  kind: ProviderKind,
  credentials: CredentialsInput | null,
) => backend().providerAdd(name.trim(), kind, credentials);

/** Tests what was typed into the form. */
export const testInput = (kind: ProviderKind, credentials: CredentialsInput | null) =>
  backend().providerTest(kind, credentials, null);

/** Tests a store with the credentials that are kept for it. */
export const testProvider = (provider: ProviderView) =>
  backend().providerTest(provider.kind, null, provider.id);

export const removeProvider = (providerId: string) => backend().providerRemove(providerId);
