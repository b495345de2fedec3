CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE tenants (
    id                 TEXT PRIMARY KEY,
    name               TEXT NOT NULL,
    recipient          TEXT NOT NULL,
    recovery_recipient TEXT NOT NULL,
    kit_saved          INTEGER NOT NULL DEFAULT 0,
    created_at         TEXT NOT NULL
) STRICT;

-- A revoked node keeps its row, without pin and keys: its snapshots are still named after it.
CREATE TABLE nodes (
    id             TEXT PRIMARY KEY,
    tenant_id      TEXT NOT NULL REFERENCES tenants (id),
    name           TEXT NOT NULL,
    address        TEXT NOT NULL,
    os             TEXT NOT NULL,
    agent_version  TEXT NOT NULL,
    tls_pin        TEXT,
    signing_key    TEXT NOT NULL,
    seal_recipient TEXT NOT NULL,
    enrolled_at    TEXT NOT NULL,
    last_seen      TEXT,
    revoked_at     TEXT,
    CHECK ((tls_pin IS NULL) = (revoked_at IS NOT NULL))
) STRICT;

-- node_id: the node's own store, in a folder on it; NULL for one that any node can be given.
CREATE TABLE providers (
    id         TEXT PRIMARY KEY,
    node_id    TEXT REFERENCES nodes (id),
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    removed_at TEXT
) STRICT;

-- head_*: the newest manifest the master has verified, remembered when snapshots go.
-- refused: why a manifest after it was not believed.
CREATE TABLE sources (
    id            TEXT PRIMARY KEY,
    node_id       TEXT NOT NULL REFERENCES nodes (id),
    tenant_id     TEXT NOT NULL REFERENCES tenants (id),
    name          TEXT NOT NULL,
    module        TEXT NOT NULL,
    settings      TEXT NOT NULL,
    recipients    TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    removed_at    TEXT,
    head_sequence INTEGER NOT NULL DEFAULT 0,
    head_sha256   TEXT,
    refused       TEXT,
    CHECK ((head_sequence = 0) = (head_sha256 IS NULL))
) STRICT;
CREATE INDEX sources_of_node ON sources (node_id);

CREATE TABLE source_providers (
    source_id   TEXT NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    provider_id TEXT NOT NULL REFERENCES providers (id),
    PRIMARY KEY (source_id, position),
    UNIQUE (source_id, provider_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    id           TEXT PRIMARY KEY,
    source_id    TEXT NOT NULL REFERENCES sources (id),
    sequence     INTEGER NOT NULL,
    created_at   TEXT NOT NULL,
    stored_bytes INTEGER NOT NULL,
    body         TEXT NOT NULL,
    manifest     BLOB NOT NULL,
    UNIQUE (source_id, sequence)
) STRICT;

CREATE TABLE snapshot_providers (
    snapshot_id TEXT NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
    provider_id TEXT NOT NULL REFERENCES providers (id),
    PRIMARY KEY (snapshot_id, provider_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id         TEXT PRIMARY KEY,
    node_id    TEXT NOT NULL REFERENCES nodes (id),
    source_id  TEXT NOT NULL,
    kind       TEXT NOT NULL,
    final      INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    body       TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_of_source ON jobs (source_id, kind, created_at);
CREATE INDEX jobs_of_node ON jobs (node_id, created_at);

CREATE TABLE events (
    node_id  TEXT PRIMARY KEY REFERENCES nodes (id),
    last_seq INTEGER NOT NULL
) STRICT;
