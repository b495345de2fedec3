/**
 * A backend in memory: the same answers and events in the same order as the desktop gives, from
 * made-up servers. For tests and for working on the page in a browser; never part of a build.
 */

import type {
  FoundSite,
  Job,
  MasterEvent,
  NodeJob,
  ProviderKind,
  ProviderTest,
  Resources,
  Retention,
  Schedule,
  SourceView,
  TaskView,
} from '$/lib/bindings/bindings';

import { isFinal, isWaiting } from '$/lib/jobs/job';

import { Failure, type Backend } from '..';
import { filesIn } from './files';
import { sampleAt } from './live';
import { jobAt, jobEnded } from './motion';
import { retentionPreview, schedulePreview } from './preview';
import * as w from './world';

/** How fast its time runs; 0 answers at once and moves nothing by itself. */
export interface FakeOptions {
  world?: w.World;
  /** Milliseconds every answer takes. */
  latency?: number;
  /** Whether jobs, tasks and graphs move by themselves. */
  moving?: boolean;
  /** Rejects the call of this name. */
  fail?: Partial<Record<keyof Backend, Failure>>;
}

const sleep = (milliseconds: number) => new Promise<void>((wake) => setTimeout(wake, milliseconds));

/** The code its servers show. */
export const FAKE_CODE = 'XC9D2';

export class FakeBackend implements Backend {
  readonly world: w.World;
  readonly fail: NonNullable<FakeOptions['fail']>;
  /** Every call, by name, in order. */
  readonly calls: { name: string; args: unknown[] }[] = [];
  readonly #heard = new Set<(event: MasterEvent) => void>();
  readonly #tasks = new Map<string, TaskView>();
  readonly #watched = new Map<string, ReturnType<typeof setInterval>>();
  readonly #latency: number;
  readonly #moving: boolean;

  constructor({ world = w.full(), latency = 0, moving = false, fail = {} }: FakeOptions = {}) {
    this.world = world;
    this.fail = fail;
    this.#latency = latency;
    this.#moving = moving;
  }

  /** Tells everybody who listens. */
  tell(event: MasterEvent): void {
    for (const heard of this.#heard) heard(structuredClone(event));
  }

  /** Answers the call `name` with a copy of what `answer` says. */
  async #answer<T>(name: keyof Backend, args: unknown[], answer: () => T): Promise<T> {
    this.calls.push({ name, args });
    if (this.#latency > 0) await sleep(this.#latency);
    const failure = this.fail[name];
    if (failure) throw failure;
    return structuredClone(answer());
  }

  setupStatus = () =>
    this.#answer('setupStatus', [], () => ({
      tenant: this.world.tenant,
      kit_saved: this.world.kitSaved,
      keyring_problem: this.world.keyringLocked
        ? { code: 'keyring_locked' as const, message: 'open the keyring: it is locked' }
        : null,
      kit_path: '/home/ada/Documents/Backupd recovery kit.html',
    }));

  setupCreate = (tenantName: string) =>
    this.#answer('setupCreate', [tenantName], () => {
      this.world.tenant = w.tenant(tenantName);
    });

  setupSaveKit = (path: string) =>
    this.#answer('setupSaveKit', [path], () => {
      if (path.endsWith('/')) throw new Failure('invalid', `save the kit to ${path}: is a folder`);
      this.world.kitSaved = true;
    });

  overviewGet = () =>
    this.#answer('overviewGet', [], () => ({
      sources: this.world.sources,
      nodes: this.world.nodes,
      running: [...this.world.jobs].flatMap(([node_id, jobs]) =>
        jobs
          .filter((job) => !isFinal(job.state) && !isWaiting(job))
          .map((job) => ({ node_id, job })),
      ),
    }));

  nodesList = () => this.#answer('nodesList', [], () => this.world.nodes);
  nodeGet = (nodeId: string) => this.#answer('nodeGet', [nodeId], () => this.#node(nodeId));

  nodeEnrol = async (address: string, code: string) => {
    const host = address.replace(/:\d+$/, '');
    const made = w.node(host, address.includes(':') ? address : `${address}:8000`, {
      enrolled_at: w.ago(0),
    });
    const step = async (step: 'connecting' | 'proving' | 'proven' | 'enrolled') => {
      const fingerprint = step === 'connecting' || step === 'proving' ? null : made.fingerprint;
      this.tell({ type: 'enrol_stepped', data: { address: made.address, step, fingerprint } });
      if (this.#moving) await sleep(600);
    };
    await step('connecting');
    if (host.startsWith('gone')) {
      throw new Failure('unavailable', `enrol ${made.address}: connect: connection refused`);
    }
    await step('proving');
    if (code !== FAKE_CODE) {
      throw new Failure('code_rejected', `enrol ${made.address}: the code was not accepted`);
    }
    await step('proven');
    this.world.nodes.push(made);
    this.world.providers.push(
      w.store('This server', { type: 'local', path: '/var/lib/backupd/store' }, made.id),
    );
    this.world.sites.set(made.id, [
      w.foundSite('shop.example', '/var/www/shop.example/htdocs', { content_bytes: 4.2 * w.GIB }),
      w.foundSite('blog.shop.example', '/var/www/blog'),
      w.foundSite('staging', '/var/www/staging', {
        problems: ['the database wp_stag on localhost refuses the user wp: access denied'],
      }),
    ]);
    await step('enrolled');
    this.tell({ type: 'nodes_changed' });
    return this.#answer('nodeEnrol', [address, code], () => made);
  };

  nodeRename = (nodeId: string, name: string) =>
    this.#answer('nodeRename', [nodeId, name], () => {
      this.#node(nodeId).name = name;
      this.tell({ type: 'nodes_changed' });
    });

  nodeRevoke = (nodeId: string) =>
    this.#answer('nodeRevoke', [nodeId], () => {
      this.#node(nodeId);
      this.world.nodes = this.world.nodes.filter(({ id }) => id !== nodeId);
      this.world.sources = this.world.sources.filter(({ node_id }) => node_id !== nodeId);
      this.tell({ type: 'nodes_changed' });
    });

  nodeScan = (nodeId: string, base: string | null) =>
    this.#answer('nodeScan', [nodeId, base], (): FoundSite[] => {
      this.#online(nodeId);
      return this.world.sites.get(nodeId) ?? [];
    });

  nodeStats = (nodeId: string, range: 'hour' | 'day') =>
    this.#answer('nodeStats', [nodeId, range], () => {
      this.#online(nodeId);
      const now = Math.floor(Date.now() / 1000);
      const [length, step] = range === 'hour' ? [3600, 1] : [1440, 60];
      const samples = Array.from({ length }, (_, i) => now - (length - i) * step)
        // The agent was restarted once: a gap.
        .filter((second) => (now - second) / step < 140 || (now - second) / step > 170)
        .map((second) => sampleAt(second, second % 1800 < 240));
      return { range, samples };
    });

  nodeWatch = (nodeId: string) =>
    this.#answer('nodeWatch', [nodeId], () => {
      if (!this.#moving || this.#watched.has(nodeId) || this.#node(nodeId).state !== 'online')
        return;
      const send = () => {
        const busy = (this.world.jobs.get(nodeId) ?? []).some(({ state }) => state === 'RUNNING');
        const data = sampleAt(Math.floor(Date.now() / 1000), busy);
        this.tell({ type: 'live', data: { node_id: nodeId, message: { type: 'sample', data } } });
      };
      this.#watched.set(nodeId, setInterval(send, 1000));
    });

  nodeUnwatch = (nodeId: string) =>
    this.#answer('nodeUnwatch', [nodeId], () => {
      clearInterval(this.#watched.get(nodeId));
      this.#watched.delete(nodeId);
    });

  nodeResources = (nodeId: string) =>
    this.#answer('nodeResources', [nodeId], () => {
      this.#online(nodeId);
      const jobs = this.world.jobs.get(nodeId) ?? [];
      const places = (value: number, state?: Job['state']) => ({
        limit: { value, configured: value, is_changed: false },
        holders: jobs.filter((job) => job.state === state).map(w.occupant),
        waiters: [],
      });
      const waiters = jobs.filter((j) => j.state === 'PENDING' && !isWaiting(j)).map(w.occupant);
      return {
        io: { ...places(2, 'RUNNING'), waiters },
        network: places(2, 'RUNNING'),
        cpu: places(4),
        bandwidth_mbps: places(0).limit,
      } satisfies Resources;
    });

  sourcesList = () => this.#answer('sourcesList', [], () => this.world.sources);

  sourceProtect = (nodeId: string, path: string, name: string, providerIds: string[]) =>
    this.#answer('sourceProtect', [nodeId, path, name, providerIds], () => {
      const node = this.#online(nodeId);
      if (this.world.sources.some((s) => s.node_id === nodeId && s.path === path)) {
        throw new Failure('already_exists', `protect ${path}: it is protected already`);
      }
      const stores = this.world.providers.filter(({ id }) => providerIds.includes(id));
      if (stores.length === 0) throw new Failure('invalid', 'at least one store is needed');
      const made = w.source(node, name, path, stores);
      this.world.sources.push(made);
      this.tell({ type: 'sources_changed' });
      return made;
    });

  sourceRemove = (sourceId: string) =>
    this.#answer('sourceRemove', [sourceId], () => {
      this.world.sources = this.world.sources.filter(({ id }) => id !== sourceId);
      this.tell({ type: 'sources_changed' });
    });

  sourceRetention = (sourceId: string, retention: Retention | null) =>
    this.#answer('sourceRetention', [sourceId, retention], () => {
      this.#source(sourceId).retention = retention;
      this.tell({ type: 'sources_changed' });
    });

  retentionPreview = (sourceId: string, retention: Retention) =>
    this.#answer('retentionPreview', [sourceId, retention], () =>
      retentionPreview(this.world, this.#source(sourceId), retention),
    );

  sourceSchedule = (sourceId: string, schedule: Schedule | null) =>
    this.#answer('sourceSchedule', [sourceId, schedule], () => {
      const source = this.#source(sourceId);
      source.schedule = schedule;
      source.next_run = schedule && (w.nightsAhead(1)[0] ?? null);
      this.tell({ type: 'sources_changed' });
    });

  schedulePreview = (schedule: Schedule) =>
    this.#answer('schedulePreview', [schedule], () => schedulePreview(schedule));

  jobsList = (nodeId: string) =>
    this.#answer('jobsList', [nodeId], () => this.world.jobs.get(nodeId) ?? []);

  jobGet = (jobId: string) => this.#answer('jobGet', [jobId], () => this.#job(jobId));

  jobStart = (sourceId: string) =>
    this.#answer('jobStart', [sourceId], () => {
      const source = this.#source(sourceId);
      this.#online(source.node_id);
      const jobs = this.world.jobs.get(source.node_id) ?? [];
      if (jobs.some((j) => j.source_id === sourceId && j.state === 'RUNNING')) {
        throw new Failure('conflict', `back ${source.name} up: a job of it is running`);
      }
      const begun = w.job(source, { state: 'RUNNING', started_at: w.ago(0) });
      this.#put({ node_id: source.node_id, job: begun });
      if (this.#moving) void this.#run(source, begun.id);
      return { node_id: source.node_id, job: begun };
    });

  jobStop = (nodeId: string, jobId: string) =>
    this.#answer('jobStop', [nodeId, jobId], () => {
      const { job } = this.#job(jobId);
      this.#put({
        node_id: nodeId,
        job: { ...job, state: 'CANCELLED', finished_at: w.ago(0) },
      });
    });

  jobRetry = (nodeId: string, jobId: string) =>
    this.#answer('jobRetry', [nodeId, jobId], () => {
      const { job } = this.#job(jobId);
      const source = this.#source(job.source_id);
      this.#online(nodeId);
      const chain = (this.world.jobs.get(nodeId) ?? []).filter(
        (j) => j.source_id === source.id && (j.id === jobId || j.retry_of === jobId),
      );
      const waiting = isWaiting(job) ? job : chain.find(isWaiting);
      if (!waiting && job.state !== 'FAILED' && job.state !== 'CANCELLED') {
        throw new Failure('conflict', `job ${jobId} cannot be retried: it has not failed`);
      }
      const retried: Job = waiting
        ? { ...waiting, not_before: null }
        : w.job(source, {
            retry_of: job.retry_of ?? job.id,
            attempt: Math.max(...chain.map(({ attempt }) => attempt ?? 1)) + 1,
          });
      this.#put({ node_id: nodeId, job: retried });
      return { node_id: nodeId, job: retried };
    });

  jobReset = (nodeId: string, jobId: string) =>
    this.#answer('jobReset', [nodeId, jobId], () => {
      const { job } = this.#job(jobId);
      const error = { code: 'timeout' as const, message: 'reset on request', stage: null };
      this.#put({
        node_id: nodeId,
        job: { ...job, state: 'FAILED', error, finished_at: w.ago(0) },
      });
    });

  snapshotsList = (sourceId: string | null) =>
    this.#answer('snapshotsList', [sourceId], () =>
      this.world.snapshots.filter((s) => sourceId === null || s.source_id === sourceId),
    );

  snapshotFiles = (snapshotId: string, folder: string) =>
    this.#answer('snapshotFiles', [snapshotId, folder], () => {
      const entries = filesIn(folder);
      if (!entries) throw new Failure('not_found', `list ${folder}: no such folder`);
      return entries;
    });

  snapshotVerify = (snapshotId: string) =>
    this.#answer('snapshotVerify', [snapshotId], () =>
      this.#begin('verify', `Verify ${this.#snapshot(snapshotId).source_name}`, snapshotId, null),
    );

  snapshotHold = (snapshotId: string, held: boolean) =>
    this.#answer('snapshotHold', [snapshotId, held], () => {
      this.#snapshot(snapshotId).held = held;
      this.tell({ type: 'snapshots_changed' });
    });

  snapshotRestore = (snapshotId: string, paths: string[], folder: string) =>
    this.#answer('snapshotRestore', [snapshotId, paths, folder], () => {
      if (!folder.startsWith('/')) {
        throw new Failure('invalid', `restore into ${folder}: not a whole path`);
      }
      const { source_name: name } = this.#snapshot(snapshotId);
      const title = paths.length === 0 ? `Restore ${name}` : `Restore a part of ${name}`;
      return this.#begin('restore', title, snapshotId, `${folder}/${name} 2026-11-21`);
    });

  snapshotRestoreInPlace = (snapshotId: string) =>
    this.#answer('snapshotRestoreInPlace', [snapshotId], () => {
      const snapshot = this.#snapshot(snapshotId);
      const source = this.#source(snapshot.source_id);
      this.#online(source.node_id);
      const begun = w.job(source, {
        kind: 'RESTORE',
        state: 'COMPLETED',
        snapshot_id: snapshotId,
        can_undo: true,
        stages: ['restore_files', 'keep_former', 'swap_files', 'restore_db', 'cleanup'].map(
          (name) => w.stage(name, 'COMPLETED'),
        ),
        started_at: w.ago(30_000),
        finished_at: w.ago(0),
      });
      this.#put({ node_id: source.node_id, job: begun });
      return { node_id: source.node_id, job_id: begun.id };
    });

  restoreConfirm = (nodeId: string, jobId: string) =>
    this.#answer('restoreConfirm', [nodeId, jobId], () => {
      this.#put({ node_id: nodeId, job: { ...this.#job(jobId).job, can_undo: false } });
    });

  restoreUndo = (nodeId: string, jobId: string) =>
    this.#answer('restoreUndo', [nodeId, jobId], () => {
      this.#put({ node_id: nodeId, job: { ...this.#job(jobId).job, can_undo: false } });
    });

  tasksList = () => this.#answer('tasksList', [], () => [...this.#tasks.values()]);

  taskCancel = (taskId: string) =>
    this.#answer('taskCancel', [taskId], () => {
      const task = this.#tasks.get(taskId);
      if (task) this.#putTask({ ...task, state: 'cancelled', message: 'Nothing was left behind.' });
    });

  providersList = () => this.#answer('providersList', [], () => this.world.providers);

  providerAdd = (name: string, kind: ProviderKind, credentials: unknown) =>
    // What was entered is not kept, not even among the calls.
    this.#answer('providerAdd', [name, kind, credentials !== null], () => {
      if (this.world.providers.some((p) => p.node_id === null && p.name === name)) {
        throw new Failure('already_exists', `there is a store ${name} already`);
      }
      const made = w.store(name, kind, null);
      this.world.providers.push(made);
      return made;
    });

  providerTest = (kind: ProviderKind, credentials: unknown, providerId: string | null) =>
    this.#answer('providerTest', [kind, credentials !== null, providerId], (): ProviderTest => {
      if (kind.type === 's3' && kind.bucket.includes('wrong')) {
        const message = 'the bucket refuses to be written to: 403 AccessDenied';
        return { usable: false, findings: [{ check: 'write', level: 'bad', message }] };
      }
      return {
        usable: true,
        findings: [
          { check: 'write', level: 'good', message: 'an object was written and confirmed' },
          { check: 'read', level: 'good', message: 'it came back byte for byte' },
          { check: 'list', level: 'good', message: 'it is listed' },
          {
            check: 'multipart',
            level: 'good',
            message: 'a large upload in parts worked and was aborted',
          },
          {
            check: 'no_overwrite',
            level: 'warning',
            message: 'existing objects can be overwritten: If-None-Match is ignored here',
          },
          {
            check: 'delete',
            level: 'warning',
            message: 'these credentials may delete: a server that is broken into could, too',
          },
          { check: 'clock', level: 'good', message: 'the clocks agree within a second' },
        ],
      };
    });

  providerRemove = (providerId: string) =>
    this.#answer('providerRemove', [providerId], () => {
      this.world.providers = this.world.providers.filter(({ id }) => id !== providerId);
    });

  folderChoose = () => this.#answer('folderChoose', [], () => '/home/ada/Restored');
  kitChoose = (suggested: string) => this.#answer('kitChoose', [suggested], () => suggested);
  folderOpen = (path: string) => this.#answer('folderOpen', [path], () => undefined);

  listen = (heard: (event: MasterEvent) => void) => {
    this.#heard.add(heard);
    return Promise.resolve(() => {
      this.#heard.delete(heard);
    });
  };

  /** Moves a backup on until it is done or was stopped. */
  async #run(source: SourceView, jobId: string): Promise<void> {
    const { node_id } = source;
    const total = source.last_snapshot?.content_bytes ?? 900 * w.MIB;
    const steps = 90;
    for (let i = 1; i <= steps; i += 1) {
      await sleep(300);
      const { job } = this.#job(jobId);
      if (job.state !== 'RUNNING') return;
      this.#put({ node_id, job: jobAt(job, total, i / steps) });
    }
    const { snapshot } = w.finished(
      source,
      this.#node(node_id).name,
      0,
      total,
      source.snapshots + 1,
    );
    const job = jobEnded(this.#job(jobId).job, snapshot.id);
    Object.assign(this.#source(source.id), {
      protection: 'protected',
      last_job: job,
      last_snapshot: snapshot,
      snapshots: source.snapshots + 1,
    });
    this.world.snapshots.unshift(snapshot);
    this.#put({ node_id, job });
    this.tell({ type: 'snapshots_changed' });
    this.tell({ type: 'sources_changed' });
  }

  #begin(kind: string, title: string, snapshotId: string, landed: string | null): TaskView {
    const total = this.#snapshot(snapshotId).content_bytes;
    const task: TaskView = {
      id: w.newId('task'),
      kind,
      title,
      snapshot_id: snapshotId,
      state: 'running',
      progress: { ...w.noProgress(), total_bytes: total },
      message: null,
      landed_in: null,
      error: null,
    };
    this.#putTask(task);
    const move = async () => {
      for (let i = 1; i <= 20; i += 1) {
        await sleep(250);
        const now = this.#tasks.get(task.id);
        if (now?.state !== 'running') return;
        const progress = { ...now.progress, done_bytes: Math.round((total * i) / 20) };
        this.#putTask({ ...now, progress });
      }
      const message =
        kind === 'verify' ? 'Every hash holds.' : 'Restored 46,824 files and folders.';
      this.#putTask({ ...task, state: 'completed', message, landed_in: landed });
    };
    if (this.#moving) void move();
    return task;
  }

  #putTask(task: TaskView): void {
    this.#tasks.set(task.id, task);
    this.tell({ type: 'task_changed', data: task });
  }

  #put(changed: NodeJob): void {
    const jobs = this.world.jobs.get(changed.node_id) ?? [];
    const at = jobs.findIndex(({ id }) => id === changed.job.id);
    this.world.jobs.set(
      changed.node_id,
      at < 0 ? [changed.job, ...jobs] : jobs.with(at, changed.job),
    );
    this.tell({ type: 'job_changed', data: changed });
  }

  #node(id: string) {
    const node = this.world.nodes.find((node) => node.id === id);
    if (!node) throw new Failure('not_found', `no node ${id}`);
    return node;
  }

  #online(id: string) {
    const node = this.#node(id);
    if (node.state !== 'online') {
      throw new Failure('unavailable', `connect to ${node.address}: connection refused`);
    }
    return node;
  }

  #source(id: string) {
    const source = this.world.sources.find((source) => source.id === id);
    if (!source) throw new Failure('not_found', `no source ${id}`);
    return source;
  }

  #snapshot(id: string) {
    const snapshot = this.world.snapshots.find((snapshot) => snapshot.id === id);
    if (!snapshot) throw new Failure('not_found', `no snapshot ${id}`);
    return snapshot;
  }

  #job(id: string): NodeJob {
    for (const [node_id, jobs] of this.world.jobs) {
      const job = jobs.find((job) => job.id === id);
      if (job) return { node_id, job };
    }
    throw new Failure('not_found', `no job ${id}`);
  }
}

/** The world the address asks for: `?world=first|empty|full|locked`, `?fail=overviewGet:timeout`,
 * `?latency=2000`, `?busy`. */
export function fakeFromAddress(search: URLSearchParams): FakeBackend {
  const worlds = { first: w.firstRun, empty: w.empty, full: w.full };
  const wanted = search.get('world') ?? 'full';
  const world = (worlds[wanted as keyof typeof worlds] ?? w.full)();
  world.keyringLocked = wanted === 'locked';
  const [call, code] = (search.get('fail') ?? '').split(':');
  const fail = call
    ? { [call]: new Failure((code as Failure['code']) || 'internal', `${call}: as asked for`) }
    : {};
  const latency = Number(search.get('latency') ?? 60);
  const fake = new FakeBackend({ world, latency, moving: true, fail });
  if (search.has('busy')) {
    for (const source of [world.sources[0], world.sources[4]]) {
      if (source) void fake.jobStart(source.id);
    }
  }
  return fake;
}
