/** A server's seconds, made up but plausible: one function of time, so that history and live agree. */

import type { Sample } from '$/lib/bindings/bindings';

import { GIB, MIB } from './world';

/** A wave that looks like no wave: three that do not fit each other. */
function sway(second: number, period: number): number {
  const turn = (2 * Math.PI * second) / period;
  return (Math.sin(turn) + Math.sin(turn * 2.7 + 1) + Math.sin(turn * 7.3 + 2)) / 6 + 0.5;
}

/** The server as it was `second` seconds since the epoch. `busy`: a backup runs on it. */
export function sampleAt(second: number, busy: boolean): Sample {
  const cpu = 6 + sway(second, 61) * 16 + (busy ? 38 + sway(second, 7) * 20 : 0);
  const noise = sway(second * 13.7, 5);
  return {
    at_ms: second * 1000,
    cpu_percent: Math.min(100, cpu + noise * 6),
    cores: [cpu * 1.2, cpu * 0.8, cpu, cpu].map((core) => Math.min(100, core)),
    memory_used: (3.1 + sway(second, 907) * 0.9 + (busy ? 0.15 : 0)) * GIB,
    memory_total: 8 * GIB,
    swap_used: 40 * MIB,
    swap_total: 2 * GIB,
    load: [cpu / 25, cpu / 30, cpu / 34],
    disks: [
      { mount: '/', used: 31.4 * GIB, total: 78.2 * GIB },
      { mount: '/var/www', used: 212 * GIB, total: 240 * GIB },
    ],
    disk_read: (sway(second, 17) * 2 + (busy ? 60 + noise * 40 : 0)) * MIB,
    disk_write: (sway(second, 23) * 3 + noise) * MIB,
    net_rx: sway(second, 31) * 1.5 * MIB,
    net_tx: (sway(second, 29) * 4 + (busy ? 24 + noise * 9 : 0)) * MIB,
    jobs_running: busy ? 1 : 0,
  };
}
