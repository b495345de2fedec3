/** What a colour means. `run` is at work; the rest are verdicts. */
export type Tone = 'ok' | 'warn' | 'bad' | 'wait' | 'run';
