/** The words in English. Sentence case; no full stop in labels and titles, one in sentences. */

import { enrol } from './en/enrol';
import { common, app } from './en/frame';
import { jobs, tasks } from './en/jobs';
import { nodes, node, sites } from './en/nodes';
import { overview, protection, needs } from './en/overview';
import { retention } from './en/retention';
import { schedule } from './en/schedule';
import { setup } from './en/setup';
import { snapshots, restore } from './en/snapshots';
import { storage } from './en/storage';

export const en = {
  common,
  app,
  setup,
  overview,
  protection,
  needs,
  nodes,
  node,
  sites,
  schedule,
  jobs,
  tasks,
  snapshots,
  restore,
  retention,
  storage,
  enrol,
};
