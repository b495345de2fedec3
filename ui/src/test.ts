/** Runs before every test file: what the browser has and the test's does not. */

import { afterEach } from 'vitest';

afterEach(() => localStorage.clear());
