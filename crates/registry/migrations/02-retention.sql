-- retention: the rule, as JSON; NULL keeps everything.
ALTER TABLE sources ADD COLUMN retention TEXT;
ALTER TABLE snapshots ADD COLUMN held INTEGER NOT NULL DEFAULT 0;

-- Written before the first object goes; done_at once nothing of it is left. Kept for ever: a
-- snapshot that was removed here is not missing there.
CREATE TABLE removals (
    snapshot_id  TEXT NOT NULL,
    provider_id  TEXT NOT NULL REFERENCES providers (id),
    source_id    TEXT NOT NULL REFERENCES sources (id),
    sequence     INTEGER NOT NULL,
    created_at   TEXT NOT NULL,
    stored_bytes INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    begun_at     TEXT NOT NULL,
    done_at      TEXT,
    PRIMARY KEY (snapshot_id, provider_id)
) STRICT, WITHOUT ROWID;
