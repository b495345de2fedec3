/** The servers, sources and snapshots the backend in memory begins with. */

import type {
  FoundSite,
  Job,
  NodeView,
  Occupant,
  Progress,
  ProviderView,
  SnapshotView,
  SourceView,
  Stage,
  TenantView,
} from '$/lib/bindings/bindings';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

export const STAGES = ['backup_db', 'backup_files', 'create_bundle', 'upload_remote', 'cleanup'];

let made = 0;

/** A new id; later ids sort after earlier ones. */
export function newId(kind: string): string {
  made += 1;
  return `${kind}-${made.toString().padStart(6, '0')}`;
}

export const ago = (milliseconds: number) => new Date(Date.now() - milliseconds).toISOString();

export const noProgress = (): Progress => ({
  done_bytes: 0,
  total_bytes: null,
  done_files: 0,
  total_files: null,
});

export function tenant(name: string): TenantView {
  return {
    id: 'tenant-1',
    name,
    recipient: 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p',
    recovery_recipient: 'age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg',
  };
}

export function node(name: string, address: string, more: Partial<NodeView> = {}): NodeView {
  return {
    id: newId('node'),
    name,
    address,
    os: 'Debian GNU/Linux 12',
    agent_version: '0.1.0',
    fingerprint: fingerprint(name),
    state: 'online',
    problem: null,
    last_seen: ago(0),
    enrolled_at: ago(40 * DAY),
    ...more,
  };
}

function fingerprint(of: string): string {
  let seed = [...of].reduce((hash, c) => (hash * 31 + c.charCodeAt(0)) >>> 0, 7);
  const group = () => {
    seed = (seed * 1664525 + 1013904223) >>> 0;
    return (seed >>> 16).toString(16).padStart(4, '0');
  };
  return Array.from({ length: 8 }, group).join(' ');
}

export function store(
  name: string,
  kind: ProviderView['kind'],
  nodeId: string | null,
): ProviderView {
  return { id: newId('store'), node_id: nodeId, name, kind, sources: 0, stored_bytes: 0 };
}

/** The next nights at three, UTC. */
export function nightsAhead(count: number): string[] {
  const next = new Date();
  next.setUTCHours(27, 0, 0, 0);
  return Array.from({ length: count }, (_, i) => new Date(next.getTime() + i * DAY).toISOString());
}

export function source(
  on: NodeView,
  name: string,
  path: string,
  stores: ProviderView[],
): SourceView {
  return {
    id: newId('source'),
    node_id: on.id,
    tenant_id: 'tenant-1',
    name,
    module: 'wordpress',
    path,
    providers: stores.map(({ id }) => id),
    schedule: {
      rule: { type: 'daily', at: '03:00' },
      time_zone: 'Europe/Berlin',
      jitter_seconds: 1800,
    },
    next_run: nightsAhead(1)[0] ?? null,
    retention: null,
    protection: 'waiting',
    last_job: null,
    last_snapshot: null,
    snapshots: 0,
    problem: null,
  };
}

export function stage(name: string, state: Stage['state'], more: Partial<Stage> = {}): Stage {
  return {
    name,
    state,
    message: null,
    details: {},
    progress: noProgress(),
    started_at: null,
    finished_at: null,
    ...more,
  };
}

export function job(of: SourceView, more: Partial<Job> = {}): Job {
  return {
    id: newId('job'),
    kind: 'BACKUP',
    source_id: of.id,
    source_name: of.name,
    module: of.module,
    priority: 5,
    origin: 'admin',
    state: 'PENDING',
    stages: STAGES.map((name) => stage(name, 'PENDING')),
    progress: noProgress(),
    error: null,
    warnings: [],
    snapshot_id: null,
    providers: of.providers.map((provider_id) => ({ provider_id, stored: false, error: null })),
    landed_in: null,
    can_undo: false,
    retry_of: null,
    attempt: 1,
    not_before: null,
    created_at: ago(0),
    started_at: null,
    finished_at: null,
    ...more,
  };
}

/** A job as one that has a place, or waits for one. */
export function occupant({ id, source_name, started_at, created_at }: Job): Occupant {
  return { job_id: id, source_name, since: started_at ?? created_at };
}

/** A backup that ended well some time ago, with its snapshot. */
export function finished(
  of: SourceView,
  nodeName: string,
  endedAgo: number,
  size: number,
  sequence: number,
): { job: Job; snapshot: SnapshotView } {
  const took = 40_000 + (size / GIB) * 60_000;
  const [begun, ended] = [ago(endedAgo + took), ago(endedAgo)];
  const files = Math.round(size / (90 * KIB));
  const progress = { done_bytes: size, total_bytes: size, done_files: files, total_files: files };
  const done = job(of, {
    state: 'COMPLETED',
    created_at: begun,
    started_at: begun,
    finished_at: ended,
    progress,
    providers: of.providers.map((provider_id) => ({ provider_id, stored: true, error: null })),
    stages: STAGES.map((name, i) =>
      stage(name, 'COMPLETED', {
        started_at: ago(endedAgo + took - i * 900),
        finished_at: ago(endedAgo + (i < 4 ? 1200 : 0)),
        message: MESSAGES[name] ?? null,
        progress: name === 'cleanup' ? noProgress() : progress,
      }),
    ),
  });
  const snapshot: SnapshotView = {
    id: newId('snapshot'),
    tenant_id: 'tenant-1',
    source_id: of.id,
    source_name: of.name,
    node_id: of.node_id,
    node_name: nodeName,
    job_id: done.id,
    providers: of.providers,
    sequence,
    created_at: ended,
    stored_bytes: Math.round(size * 0.62),
    content_bytes: size,
    files,
    manifest_sha256: '9f'.repeat(32),
    consistent: true,
    warnings: [],
    held: false,
  };
  return { job: { ...done, snapshot_id: snapshot.id }, snapshot };
}

export const MESSAGES: Record<string, string> = {
  backup_db: '38 tables dumped, trailer checked',
  backup_files: 'wp-content read once',
  create_bundle: 'compressed and encrypted to 2 keys',
  upload_remote: 'size and checksum confirmed',
  cleanup: 'nothing left behind',
};

export function foundSite(name: string, path: string, more: Partial<FoundSite> = {}): FoundSite {
  return {
    name,
    path,
    has_config: true,
    has_content: true,
    database: { name: 'wp_' + name.slice(0, 4), user: 'wp', host: 'localhost', prefix: 'wp_' },
    url: `https://${name}`,
    title: name,
    content_bytes: 812 * MIB,
    content_files: 9_312,
    problems: [],
    ...more,
  };
}

/** Everything the backend in memory knows. */
export interface World {
  tenant: TenantView | null;
  kitSaved: boolean;
  keyringLocked: boolean;
  nodes: NodeView[];
  providers: ProviderView[];
  sources: SourceView[];
  jobs: Map<string, Job[]>;
  snapshots: SnapshotView[];
  sites: Map<string, FoundSite[]>;
}

export function firstRun(): World {
  return {
    tenant: null,
    kitSaved: false,
    keyringLocked: false,
    nodes: [],
    providers: [],
    sources: [],
    jobs: new Map(),
    snapshots: [],
    sites: new Map(),
  };
}

export function empty(): World {
  return { ...firstRun(), tenant: tenant('Acme Ltd'), kitSaved: true };
}

const LONG = 'Stadtwerke-und-Verkehrsbetriebe-Nordrhein-Westfalen-Kundenportal.staging.example.org';

export function full(): World {
  const world = empty();
  const [web1, web2, old] = [
    node('web-1.example.net', 'web-1.example.net:8000'),
    node('web-2.frankfurt.production.example-hosting-company.net', '[2001:db8::17:4a]:8000'),
    node('legacy', '192.0.2.44:8000', {
      state: 'offline',
      os: 'Ubuntu 22.04',
      last_seen: ago(14 * MINUTE),
      problem: { code: 'unavailable', message: 'connect to 192.0.2.44:8000: connection refused' },
    }),
  ];
  world.nodes = [web1, web2, old];
  const bucket = store(
    'Off-site',
    {
      type: 's3',
      endpoint: 'https://s3.eu-central-003.backblazeb2.com',
      region: 'eu-central-003',
      bucket: 'acme-backups',
      prefix: 'production',
      path_style: false,
    },
    null,
  );
  const own = world.nodes.map(({ id }) =>
    store('This server', { type: 'local', path: '/var/lib/backupd/store' }, id),
  );
  world.providers = [bucket, ...own];
  const names: [NodeView, string, string, number][] = [
    [web1, 'shop.example', '/var/www/shop.example/htdocs', 4.2],
    [web1, 'Blog of the founders', '/var/www/blog', 0.8],
    [web1, 'docs.example', '/srv/www/clients/acme/docs.example/public_html', 0.2],
    [web1, 'intranet', '/var/www/intranet', 1.4],
    [web2, LONG, `/var/www/vhosts/${LONG}/httpdocs/wordpress`, 11.3],
    [web2, 'magazine.example', '/var/www/magazine.example', 23.8],
    [web2, 'events', '/var/www/events', 0.6],
    [web2, 'recipes & stories', '/var/www/recipes', 2.1],
    [web2, 'forum.example', '/var/www/forum', 6.4],
    [old, 'archive-2019', '/var/www/html', 3.3],
    [web1, 'careers', '/var/www/careers', 0.4],
    [web1, 'status page', '/var/www/status', 0.1],
    [web2, 'partner portal', '/var/www/partner', 1.9],
    [web2, 'landing', '/var/www/landing', 0.3],
  ];
  names.forEach(([on, name, path, gib], i) => {
    const local = world.providers.find(({ node_id }) => node_id === on.id);
    const made = source(on, name, path, i % 3 === 0 && local ? [bucket, local] : [bucket]);
    made.protection = 'protected';
    const runs = Array.from({ length: 12 }, (_, run) =>
      finished(
        made,
        on.name,
        (11 - run) * DAY + (2 + i * 0.37) * HOUR + 12 * MINUTE,
        gib * GIB * (1 - (11 - run) * 0.012),
        run + 1,
      ),
    );
    const newest = runs.at(-1);
    made.last_job = newest?.job ?? null;
    made.last_snapshot = newest?.snapshot ?? null;
    made.snapshots = runs.length;
    world.sources.push(made);
    world.snapshots.push(...runs.map(({ snapshot }) => snapshot));
    world.jobs.set(on.id, [...(world.jobs.get(on.id) ?? []), ...runs.map((run) => run.job)]);
  });
  upset(world);
  for (const provider of world.providers) {
    const held = world.snapshots.filter((s) => s.providers.includes(provider.id));
    provider.sources = world.sources.filter((s) => s.providers.includes(provider.id)).length;
    provider.stored_bytes = held.reduce((sum, s) => sum + s.stored_bytes, 0);
  }
  world.snapshots.sort((a, b) => b.created_at.localeCompare(a.created_at));
  for (const jobs of world.jobs.values()) {
    jobs.sort((a, b) => b.created_at.localeCompare(a.created_at));
  }
  world.sites.set(web1.id, [
    foundSite('shop.example', '/var/www/shop.example/htdocs'),
    foundSite('new-campaign.example', '/var/www/campaign', { content_files: 2_101 }),
    foundSite('staging.shop.example', '/var/www/staging/htdocs', {
      problems: ['the database wp_stag on localhost refuses the user wp: access denied'],
    }),
  ]);
  return world;
}

/** What goes wrong in the full world. */
function upset(world: World): void {
  const [, blog, , , , magazine, events] = world.sources;
  if (magazine?.last_job) {
    magazine.protection = 'failed';
    magazine.last_job = {
      ...magazine.last_job,
      id: newId('job'),
      state: 'FAILED',
      created_at: ago(41 * MINUTE),
      started_at: ago(41 * MINUTE),
      finished_at: ago(38 * MINUTE),
      snapshot_id: null,
      progress: {
        done_bytes: 9.1 * GIB,
        total_bytes: 23.8 * GIB,
        done_files: 81_000,
        total_files: null,
      },
      error: {
        code: 'denied',
        stage: 'upload_remote',
        message:
          'upload part 147 of tenants/tenant-1/sources/source-000013/snapshots/snapshot-000301/backup.tar.zst.age to s3.eu-central-003.backblazeb2.com/acme-backups: 403 AccessDenied: storage cap exceeded',
      },
      stages: magazine.last_job.stages.map((s) =>
        s.name === 'upload_remote'
          ? { ...s, state: 'FAILED', message: 'part 147 was refused' }
          : s.name === 'cleanup'
            ? s
            : { ...s, state: 'SKIPPED', message: 'stopped with the upload' },
      ),
    };
    world.jobs.get(magazine.node_id)?.push(magazine.last_job);
  }
  if (blog?.last_job) {
    blog.protection = 'attention';
    blog.last_job = {
      ...blog.last_job,
      warnings: [
        'wp-content/uploads/2026/11/video.mp4 changed while it was read',
        'wp-content/cache/object/3fe1 vanished while it was read',
      ],
    };
    const jobs = world.jobs.get(blog.node_id) ?? [];
    world.jobs.set(
      blog.node_id,
      jobs.map((j) => (j.id === blog.last_job?.id ? blog.last_job : j)),
    );
  }
  if (events) {
    events.protection = 'waiting';
    world.snapshots = world.snapshots.filter(({ source_id }) => source_id !== events.id);
    events.last_job = events.last_snapshot = null;
    events.snapshots = 0;
  }
  for (const s of world.sources) {
    const at = world.nodes.find(({ id }) => id === s.node_id);
    if (at?.state === 'offline') s.protection = 'attention';
  }
}
