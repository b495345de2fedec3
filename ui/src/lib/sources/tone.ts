import type { Protection } from '$/lib/bindings/bindings';
import type { Tone } from '$/design/tone';

/** How a verdict is shown. */
export const protectionTone: Record<Protection, Tone> = {
  protected: 'ok',
  waiting: 'wait',
  attention: 'warn',
  failed: 'bad',
};
