/**
 * One enrolment, from the code to the first running backup. The dialog shows what is here and
 * decides nothing itself.
 */

import { SvelteMap, SvelteSet } from 'svelte/reactivity';

import { Failure } from '$/lib/backend';
import type { EnrolStep, FoundSite, NodeView, ProviderView } from '$/lib/bindings/bindings';
import { startBackup } from '$/lib/jobs/jobs.api';
import { m } from '$/lib/messages';
import { enrolNode } from '$/lib/nodes/nodes.api';
import { on } from '$/lib/shell/events';
import { protectSite, scanNode } from '$/lib/sources/sources.api';
import { listProviders } from '$/lib/storage/storage.api';
import { offered, usableBy } from '$/lib/storage/storage.state.svelte';

import { isAddress, tidyAddress } from './address';
import { emptyBoxes, type Boxes } from './code';

export const STEPS: readonly EnrolStep[] = ['connecting', 'proving', 'proven', 'enrolled'];

/** `code`: being typed. `joining`: the exchange. `sites`: connected, choosing. `running`: backing up. */
export type Phase = 'code' | 'joining' | 'sites' | 'running';

export class Enrolment {
  phase = $state<Phase>('code');
  address = $state('');
  boxes = $state.raw<Boxes>(emptyBoxes());
  /** Told only after the first try: nobody is corrected while typing. */
  tried = $state(false);
  step = $state<EnrolStep>();
  fingerprint = $state<string>();
  node = $state.raw<NodeView>();
  sites = $state.raw<FoundSite[]>();
  readonly chosen = new SvelteSet<string>();
  providers = $state.raw<ProviderView[]>([]);
  providerId = $state<string>('');
  busy = $state(false);
  error = $state.raw<Failure>();
  /** What failed, as a heading. */
  failed = $state('');
  /** Sources whose first backup was started. */
  started = $state.raw<string[]>([]);
  readonly #protected = new SvelteMap<string, string>();

  get code(): string {
    return this.boxes.symbols.join('');
  }

  get addressWrong(): string | undefined {
    return this.tried && !isAddress(tidyAddress(this.address)) ? m.enrol.addressMissing : undefined;
  }

  get codeWrong(): string | undefined {
    if (this.boxes.bad) return m.enrol.codeInvalid(this.boxes.bad);
    return this.tried && this.boxes.symbols.includes('') ? m.enrol.codeMissing : undefined;
  }

  /** How a step of the exchange stands. */
  stepState(step: EnrolStep): 'waiting' | 'active' | 'done' | 'failed' {
    if (!this.step) return 'waiting';
    const [at, now] = [STEPS.indexOf(step), STEPS.indexOf(this.step)];
    if (at < now || this.step === 'enrolled') return 'done';
    if (at > now) return 'waiting';
    return this.error && this.phase === 'code' ? 'failed' : 'active';
  }

  /** Follows the exchange until the returned function is called. */
  start(): () => void {
    const off = [
      on('enrol_stepped', ({ step, fingerprint }) => {
        if (this.phase !== 'joining') return;
        this.step = step;
        this.fingerprint = fingerprint ?? this.fingerprint;
      }),
      // The server's own store is known once it was read for the first time.
      on('nodes_changed', () => {
        if (this.phase === 'sites' && this.providers.length === 0) void this.#findProviders();
      }),
    ];
    return () => off.forEach((end) => end());
  }

  /** Enrols, then looks for sites. */
  async join(): Promise<void> {
    this.tried = true;
    this.error = undefined;
    if (this.addressWrong || this.codeWrong) return;
    this.address = tidyAddress(this.address);
    this.step = 'connecting';
    this.fingerprint = undefined;
    this.phase = 'joining';
    try {
      this.node = await enrolNode(this.address, this.code);
    } catch (thrown) {
      this.error = Failure.of(thrown);
      this.failed = m.enrol.failed;
      this.phase = 'code';
      // A rejected code is worth nothing any more; a server that did not answer may still take it.
      if (this.error.code === 'code_rejected' || this.error.code === 'window_closed') {
        this.boxes = emptyBoxes();
        this.tried = false;
      }
      return;
    }
    this.fingerprint = this.node.fingerprint;
    this.step = 'enrolled';
    this.phase = 'sites';
    await Promise.all([this.look(), this.#findProviders()]);
  }

  /** Looks for sites on the new node; those nothing stands against are chosen. */
  readonly look = async (): Promise<void> => {
    if (!this.node) return;
    this.error = undefined;
    this.sites = undefined;
    try {
      this.sites = await scanNode(this.node.id);
      this.chosen.clear();
      for (const { path, problems } of this.sites) if (problems.length === 0) this.chosen.add(path);
    } catch (thrown) {
      this.error = Failure.of(thrown);
      this.failed = m.sites.scanFailed;
      this.sites = [];
    }
  };

  toggle(path: string, chosen: boolean): void {
    if (chosen) this.chosen.add(path);
    else this.chosen.delete(path);
  }

  /** Protects what is chosen and starts the first backups; what was done stays done on a retry. */
  async protect(): Promise<void> {
    const { node } = this;
    if (!node) return;
    this.busy = true;
    this.error = undefined;
    try {
      const sites = (this.sites ?? []).filter(({ path }) => this.chosen.has(path));
      for (const site of sites) {
        this.failed = m.enrol.protectFailed(site.name);
        if (!this.#protected.has(site.path)) {
          const source = await protectSite(node.id, site, [this.providerId]);
          this.#protected.set(site.path, source.id);
        }
      }
      for (const site of sites) {
        const id = this.#protected.get(site.path);
        if (!id || this.started.includes(id)) continue;
        this.failed = m.enrol.startFailed(site.name);
        await startBackup(id);
        this.started = [...this.started, id];
      }
      this.phase = 'running';
    } catch (thrown) {
      this.error = Failure.of(thrown);
    } finally {
      this.busy = false;
    }
  }

  async #findProviders(): Promise<void> {
    if (!this.node) return;
    try {
      this.providers = usableBy(this.node.id, await listProviders());
      this.providerId ||= offered(this.providers)?.id ?? '';
    } catch {
      // The list stays empty, which the dialog says; the next event asks again.
    }
  }
}
