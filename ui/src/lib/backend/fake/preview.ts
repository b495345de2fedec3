/** What rules would come to, roughly: the desktop is who knows. */

import type {
  KeepReason,
  Retention,
  RetentionLine,
  RetentionPreview,
  Schedule,
  SchedulePreview,
  SourceView,
} from '$/lib/bindings/bindings';

import { Failure } from '..';
import { nightsAhead, type World } from './world';

/** Knows of the newest, the held, and no other count. */
export function retentionPreview(
  world: World,
  source: SourceView,
  retention: Retention,
): RetentionPreview {
  const all = world.snapshots.filter(({ source_id }) => source_id === source.id);
  const snapshots = source.providers.flatMap((provider_id) =>
    all.map((snapshot, i): RetentionLine => {
      const reasons: KeepReason[] = [];
      if (i < (retention.keep_last ?? 0)) reasons.push('last');
      if (i === 0) reasons.push('newest_verified');
      if (snapshot.held) reasons.push('held');
      return {
        snapshot_id: snapshot.id,
        provider_id,
        created_at: snapshot.created_at,
        stored_bytes: snapshot.stored_bytes,
        decision:
          reasons.length > 0 ? { type: 'keep', reasons } : { type: 'remove', reason: 'rule' },
      };
    }),
  );
  const sum = (type: 'keep' | 'remove') =>
    snapshots
      .filter(({ decision }) => decision.type === type)
      .reduce((bytes, { stored_bytes }) => bytes + stored_bytes, 0);
  const kept_bytes = sum('keep');
  const over = kept_bytes - (retention.quota_bytes ?? Infinity);
  return {
    snapshots,
    kept_bytes,
    freed_bytes: sum('remove'),
    over_quota_bytes: Math.max(0, over),
  };
}

/** Counts nights and knows no calendar. */
export function schedulePreview({ rule }: Schedule): SchedulePreview {
  if (rule.type === 'cron' && rule.expression.trim().split(/\s+/).length !== 5) {
    const what = `cron expression is "${rule.expression}"`;
    throw new Failure('invalid', `${what}; allowed are five fields`);
  }
  return { next: nightsAhead(3) };
}
