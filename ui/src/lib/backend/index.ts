/**
 * The one door to Rust. Everything the page asks of the desktop goes through `Backend`; which one
 * it is (the desktop, or one in memory for tests) is decided once, at the start.
 *
 * A method rejects with a {@link Failure} and with nothing else.
 */

import type {
  Code,
  CredentialsInput,
  ErrorView,
  FileEntry,
  FoundSite,
  Job,
  MasterEvent,
  NodeJob,
  NodeView,
  OverviewView,
  ProviderKind,
  ProviderTest,
  ProviderView,
  Resources,
  RestoreStarted,
  Retention,
  RetentionPreview,
  Schedule,
  SchedulePreview,
  SetupStatus,
  SnapshotView,
  SourceView,
  StatsHistory,
  StatsRange,
  TaskView,
} from '$/lib/bindings/bindings';

/** What the desktop answers. Ids are opaque; times RFC 3339 UTC; sizes bytes. */
export interface Backend {
  setupStatus(): Promise<SetupStatus>;
  setupCreate(tenantName: string): Promise<void>;
  setupSaveKit(path: string): Promise<void>;

  overviewGet(): Promise<OverviewView>;

  nodesList(): Promise<NodeView[]>;
  nodeGet(nodeId: string): Promise<NodeView>;
  nodeEnrol(address: string, code: string): Promise<NodeView>;
  nodeRename(nodeId: string, name: string): Promise<void>;
  nodeRevoke(nodeId: string): Promise<void>;
  /** `base` null: the usual places. */
  nodeScan(nodeId: string, base: string | null): Promise<FoundSite[]>;
  nodeStats(nodeId: string, range: StatsRange): Promise<StatsHistory>;
  nodeWatch(nodeId: string): Promise<void>;
  nodeUnwatch(nodeId: string): Promise<void>;
  nodeResources(nodeId: string): Promise<Resources>;

  sourcesList(): Promise<SourceView[]>;
  sourceProtect(
    nodeId: string,
    path: string,
    name: string,
    providerIds: string[],
  ): Promise<SourceView>;
  sourceRemove(sourceId: string): Promise<void>;
  /** Null: only when asked for. */
  sourceSchedule(sourceId: string, schedule: Schedule | null): Promise<void>;
  /** The next three runs. */
  schedulePreview(schedule: Schedule): Promise<SchedulePreview>;
  /** Null keeps everything. Nothing goes at once. */
  sourceRetention(sourceId: string, retention: Retention | null): Promise<void>;
  /** What a rule would keep and remove; nothing is touched. */
  retentionPreview(sourceId: string, retention: Retention): Promise<RetentionPreview>;

  jobsList(nodeId: string): Promise<Job[]>;
  jobGet(jobId: string): Promise<NodeJob>;
  jobStart(sourceId: string): Promise<NodeJob>;
  jobStop(nodeId: string, jobId: string): Promise<void>;
  /** The new job, or the one that waited for its time. */
  jobRetry(nodeId: string, jobId: string): Promise<NodeJob>;
  jobReset(nodeId: string, jobId: string): Promise<void>;

  snapshotsList(sourceId: string | null): Promise<SnapshotView[]>;
  /** The entries of one folder; `''` is the snapshot's root. */
  snapshotFiles(snapshotId: string, folder: string): Promise<FileEntry[]>;
  snapshotVerify(snapshotId: string): Promise<TaskView>;
  /** Retention does not remove what is held. */
  snapshotHold(snapshotId: string, held: boolean): Promise<void>;
  /** Into a fresh folder inside of `folder`; `paths` empty means everything. */
  snapshotRestore(snapshotId: string, paths: string[], folder: string): Promise<TaskView>;
  snapshotRestoreInPlace(snapshotId: string): Promise<RestoreStarted>;
  restoreConfirm(nodeId: string, jobId: string): Promise<void>;
  restoreUndo(nodeId: string, jobId: string): Promise<void>;

  tasksList(): Promise<TaskView[]>;
  taskCancel(taskId: string): Promise<void>;

  providersList(): Promise<ProviderView[]>;
  providerAdd(
    name: string,
    kind: ProviderKind,
    credentials: CredentialsInput | null,
  ): Promise<ProviderView>;
  /** Tests what was typed, or what is stored when only `providerId` is given. */
  providerTest(
    kind: ProviderKind,
    credentials: CredentialsInput | null,
    providerId: string | null,
  ): Promise<ProviderTest>;
  providerRemove(providerId: string): Promise<void>;

  /** A native dialog; null when it was closed without a choice. */
  folderChoose(): Promise<string | null>;
  kitChoose(suggested: string): Promise<string | null>;
  folderOpen(path: string): Promise<void>;

  /** Calls `heard` with every event until the returned function is called. */
  listen(heard: (event: MasterEvent) => void): Promise<() => void>;
}

/** Why the desktop could not do it. The words for people come from the table by `code`. */
export class Failure extends Error implements ErrorView {
  constructor(
    readonly code: Code,
    message: string,
  ) {
    super(message);
    this.name = 'Failure';
  }

  /** Whatever was thrown, as a failure; a fault of this page itself is `internal`. */
  static of(thrown: unknown): Failure {
    if (thrown instanceof Failure) return thrown;
    if (isErrorView(thrown)) return new Failure(thrown.code, thrown.message);
    return new Failure('internal', thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function isErrorView(thrown: unknown): thrown is ErrorView {
  return typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'message' in thrown;
}

let chosen: Backend | undefined;

/** Decides which backend this page talks to. */
export function useBackend(backend: Backend): void {
  chosen = backend;
}

/** The backend this page talks to. */
export function backend(): Backend {
  if (!chosen) throw new Failure('internal', 'the page was started without a backend');
  return chosen;
}
