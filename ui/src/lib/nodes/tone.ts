import type { NodeState } from '$/lib/bindings/bindings';
import type { Tone } from '$/design/tone';

/** How the state of a node is shown. */
export const nodeTone: Record<NodeState, Tone> = {
  online: 'ok',
  connecting: 'wait',
  offline: 'bad',
  refused: 'bad',
};
