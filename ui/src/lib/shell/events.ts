/** The one stream of events, handed to whoever wants a kind of them. */

import { backend } from '$/lib/backend';
import type { MasterEvent } from '$/lib/bindings/bindings';

type Kind = MasterEvent['type'];
type Told<K extends Kind> =
  Extract<MasterEvent, { type: K }> extends { data: infer D } ? D : undefined;
type Ear = (data: unknown) => void;

const ears = new Map<Kind, Set<Ear>>();

/** Calls `heard` with every event of `kind` until the returned function is called. */
export function on<K extends Kind>(kind: K, heard: (data: Told<K>) => void): () => void {
  const ear = heard as Ear;
  const those = ears.get(kind) ?? new Set();
  ears.set(kind, those.add(ear));
  return () => those.delete(ear);
}

/** Hands an event to those who want it. */
export function tell(event: MasterEvent): void {
  const data = 'data' in event ? event.data : undefined;
  for (const ear of [...(ears.get(event.type) ?? [])]) ear(data);
}

/** Begins to listen; the returned function ends it. */
export function startEvents(): Promise<() => void> {
  return backend().listen(tell);
}

/** `run`, once, `wait` milliseconds after the first of a burst of calls; never beside itself, so
 * that a stream of events cannot keep its answer from ever coming. */
export function settle(run: () => Promise<void>, wait = 80): () => void {
  let state: 'idle' | 'waiting' | 'running' | 'again' = 'idle';
  const turn = () => {
    state = 'waiting';
    setTimeout(() => {
      state = 'running';
      void run().finally(() => {
        if (state === 'again') turn();
        else state = 'idle';
      });
    }, wait);
  };
  return () => {
    if (state === 'idle') turn();
    else if (state === 'running') state = 'again';
  };
}
