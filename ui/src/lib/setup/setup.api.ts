/** The first run. */

import { backend } from '$/lib/backend';

export const setupStatus = () => backend().setupStatus();

/** Makes the tenant's keys. */
export const createTenant = (name: string) => backend().setupCreate(name.trim());

export const saveKit = (path: string) => backend().setupSaveKit(path.trim());

/** Asks where to save the kit, with the system's dialog; null when it was closed. */
export const chooseKitPath = (suggested: string) => backend().kitChoose(suggested);
