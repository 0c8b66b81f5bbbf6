CREATE TABLE migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_us INTEGER NOT NULL);

CREATE TABLE entities (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);

CREATE TABLE texts (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);

CREATE TABLE actors (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);

CREATE TABLE facts (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);

CREATE TABLE payloads (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, key TEXT NOT NULL);

CREATE INDEX payloads_by_hash ON payloads (hash);

CREATE TABLE events (
                id INTEGER PRIMARY KEY,
                at INTEGER NOT NULL,
                kind INTEGER NOT NULL,
                origin INTEGER NOT NULL,
                entity INTEGER,
                state,
                old_state,
                held_us INTEGER,
                payload INTEGER,
                name INTEGER,
                context BLOB,
                parent BLOB,
                user INTEGER,
                responsible INTEGER,
                facts INTEGER
            );

CREATE INDEX events_by_entity ON events (entity, at);

CREATE INDEX events_by_time ON events (at);

CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE cursors (name TEXT PRIMARY KEY, row_id INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE dead_letters (
                id INTEGER PRIMARY KEY,
                replica TEXT NOT NULL,
                event INTEGER NOT NULL,
                at INTEGER NOT NULL,
                entity INTEGER,
                line TEXT NOT NULL,
                status INTEGER,
                words TEXT NOT NULL,
                noted_us INTEGER NOT NULL,
                UNIQUE (replica, event)
            );

CREATE TABLE rollups (
                entity INTEGER NOT NULL,
                span INTEGER NOT NULL,
                start INTEGER NOT NULL,
                until INTEGER,
                events INTEGER NOT NULL,
                changes INTEGER NOT NULL,
                low REAL,
                high REAL,
                mean REAL,
                rise REAL,
                states TEXT,
                state TEXT,
                number REAL,
                peak REAL,
                last_event INTEGER NOT NULL,
                PRIMARY KEY (entity, span, start)
            ) WITHOUT ROWID;

CREATE TABLE rollup_due (
                entity INTEGER NOT NULL,
                span INTEGER NOT NULL,
                start INTEGER NOT NULL,
                until INTEGER NOT NULL,
                PRIMARY KEY (entity, span, start)
            ) WITHOUT ROWID;

CREATE INDEX events_by_kind ON events (kind, at) WHERE kind > 1;

CREATE INDEX events_by_origin ON events (origin, at) WHERE origin > 0;
