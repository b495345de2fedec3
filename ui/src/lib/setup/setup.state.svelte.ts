/** How far the first run is; nothing else is shown before it is over. */

import type { SetupStatus } from '$/lib/bindings/bindings';
import { Resource } from '$/lib/shell/resource.svelte';

import { setupStatus } from './setup.api';

/** Where the guide stands. */
export type SetupStage = 'unknown' | 'keyring' | 'tenant' | 'kit' | 'over';

/** The stage a status means. */
export function stageOf(status: SetupStatus | undefined): SetupStage {
  if (!status) return 'unknown';
  if (status.keyring_problem) return 'keyring';
  if (!status.tenant) return 'tenant';
  return status.kit_saved ? 'over' : 'kit';
}

class SetupState {
  readonly status = new Resource(setupStatus);

  get stage(): SetupStage {
    return stageOf(this.status.data);
  }

  get tenantName(): string | undefined {
    return this.status.data?.tenant?.name;
  }
}

export const setup = new SetupState();
