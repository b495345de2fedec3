/** The state of everything at once. */

import { backend } from '$/lib/backend';

export const getOverview = () => backend().overviewGet();
