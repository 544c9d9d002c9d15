-- The statements of the PostgreSQL store, each after its name. Times are epoch seconds; :now is the store's time.

-- name: schema
CREATE SEQUENCE IF NOT EXISTS ucam_faas_jobs_place_seq;
CREATE TABLE IF NOT EXISTS ucam_faas_jobs (
  app TEXT NOT NULL, task TEXT NOT NULL, id TEXT NOT NULL,
  payload BYTEA NOT NULL, attributes TEXT NOT NULL, ordering_key TEXT NOT NULL,
  options TEXT NOT NULL, source TEXT NOT NULL, owner TEXT NOT NULL, "unique" TEXT,
  state TEXT NOT NULL,
  created FLOAT8 NOT NULL, due FLOAT8 NOT NULL, expires FLOAT8, visit FLOAT8 NOT NULL,
  fence INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
  interruptions INTEGER NOT NULL DEFAULT 0, lease FLOAT8,
  cancel_requested BOOLEAN NOT NULL DEFAULT false,
  event_due BOOLEAN NOT NULL DEFAULT false,
  result BYTEA, error TEXT, progress TEXT, history JSONB NOT NULL,
  watched BOOLEAN NOT NULL DEFAULT false,
  claimant TEXT,
  limit_key TEXT, in_order BOOLEAN NOT NULL DEFAULT false, place BIGINT DEFAULT nextval('ucam_faas_jobs_place_seq'),
  lane TEXT NOT NULL DEFAULT 'default', batch TEXT, parent TEXT,
  PRIMARY KEY (app, task, id)
);
-- The columns that were added later. A new one needs a default, or may be NULL: the version that runs doesn't know it.
ALTER TABLE ucam_faas_jobs
  ADD COLUMN IF NOT EXISTS limit_key TEXT,
  ADD COLUMN IF NOT EXISTS claimant TEXT,
  ADD COLUMN IF NOT EXISTS event_due BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN IF NOT EXISTS lane TEXT NOT NULL DEFAULT 'default',
  ADD COLUMN IF NOT EXISTS batch TEXT,
  ADD COLUMN IF NOT EXISTS parent TEXT,
  ADD COLUMN IF NOT EXISTS in_order BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN IF NOT EXISTS place BIGINT;
-- Apart: with a new column, it would rewrite the table. Earlier rows get their places with their keys.
ALTER TABLE ucam_faas_jobs ALTER COLUMN place SET DEFAULT nextval('ucam_faas_jobs_place_seq');
DROP INDEX IF EXISTS ucam_faas_jobs_visit;
CREATE TABLE IF NOT EXISTS ucam_faas_paused_lanes (
  app TEXT NOT NULL, task TEXT NOT NULL, lane TEXT NOT NULL,
  PRIMARY KEY (app, task, lane)
);
CREATE TABLE IF NOT EXISTS ucam_faas_job_steps (
  app TEXT NOT NULL, task TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
  value BYTEA NOT NULL, time FLOAT8 NOT NULL,
  PRIMARY KEY (app, task, id, name),
  FOREIGN KEY (app, task, id) REFERENCES ucam_faas_jobs ON DELETE CASCADE
)

-- name: unfinished_indexes
-- Of a migration that was interrupted.
SELECT indexrelid::regclass::text AS name FROM pg_index
WHERE indrelid = 'ucam_faas_jobs'::regclass AND NOT indisvalid

-- name: indexes
CREATE INDEX CONCURRENTLY IF NOT EXISTS ucam_faas_jobs_overdue ON ucam_faas_jobs (app, visit);
CREATE INDEX CONCURRENTLY IF NOT EXISTS ucam_faas_jobs_created ON ucam_faas_jobs (app, created);
CREATE INDEX CONCURRENTLY IF NOT EXISTS ucam_faas_jobs_pending ON ucam_faas_jobs (app, task) WHERE state = 'PENDING';
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ucam_faas_jobs_unique ON ucam_faas_jobs (app, task, "unique")
  WHERE "unique" IS NOT NULL AND state IN ('PENDING', 'STARTED', 'PAUSED');
CREATE INDEX CONCURRENTLY IF NOT EXISTS ucam_faas_jobs_limited ON ucam_faas_jobs (app, task, limit_key, state, place)
  WHERE limit_key IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS ucam_faas_jobs_batch ON ucam_faas_jobs (app, batch, id)
  WHERE batch IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS ucam_faas_jobs_parent ON ucam_faas_jobs (app, parent, task, id)
  WHERE parent IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS ucam_faas_jobs_unsuccessful ON ucam_faas_jobs (app, created)
  WHERE state IN ('FAILURE', 'EXPIRED', 'CANCELLED');
CREATE INDEX CONCURRENTLY IF NOT EXISTS ucam_faas_jobs_live_members ON ucam_faas_jobs (app, batch)
  WHERE batch IS NOT NULL AND state IN ('PENDING', 'STARTED', 'PAUSED')

-- name: insert
-- In one order everywhere, by unique keys before ids: two batches don't wait for each other.
WITH new AS (
  SELECT *, nextval('ucam_faas_jobs_place_seq') AS place FROM json_to_recordset(:rows::json) AS new (
    number int, app text, task text, id text, payload text, attributes text, ordering_key text,
    options text, source text, owner text, "unique" text, limit_key text, in_order bool,
    lane text, batch text, parent text, state text, wait float8, ttl float8, visit float8
  )
), lost AS (
  SELECT NULL::int AS number
  WHERE :holder::json IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM ucam_faas_jobs AS job
    JOIN json_to_record(:holder::json) AS holder (app text, task text, id text, fence int)
      USING (app, task, id, fence)
    WHERE job.state = 'STARTED'
  )
), added AS (
  INSERT INTO ucam_faas_jobs (
    app, task, id, payload, attributes, ordering_key, options, source, owner, "unique",
    limit_key, in_order, lane, batch, parent, place, state, created, due, expires, visit, history
  )
  SELECT
    app, task, id, decode(payload, 'base64'), attributes, ordering_key, options, source, owner, "unique",
    limit_key, in_order, lane, batch, parent, place, state, :now, :now + wait, :now + ttl, :now + visit,
    jsonb_build_array(jsonb_build_array(:now, state, 'sent', 0, '', ''))
  FROM new WHERE NOT EXISTS (SELECT 1 FROM lost) ORDER BY app, task, "unique", id, number
  ON CONFLICT DO NOTHING
  RETURNING *
)
SELECT new.number, added.* FROM added JOIN new USING (app, task, id)
UNION ALL SELECT number, (NULL::ucam_faas_jobs).* FROM lost

-- name: inserted
SELECT new.number, job.*
FROM json_to_recordset(:rows::json) AS new (number int, app text, task text, id text, "unique" text)
CROSS JOIN LATERAL (
  SELECT * FROM (  -- two look-ups: for one with OR, the planner may read all rows of the task
    SELECT * FROM ucam_faas_jobs AS same
    WHERE same.app = new.app AND same.task = new.task AND same.id = new.id
    UNION ALL
    SELECT * FROM ucam_faas_jobs AS same
    WHERE same.app = new.app AND same.task = new.task AND same."unique" = new."unique"
      AND same.state IN ('PENDING', 'STARTED', 'PAUSED')
  ) AS either
  ORDER BY id = new.id DESC LIMIT 1
) AS job

-- name: claim
-- Without its last condition, which is one of the next two.
UPDATE ucam_faas_jobs SET
  state = 'STARTED',
  claimant = :claimant,
  fence = fence + 1,
  attempts = attempts + (state = 'STARTED')::int,
  lease = :now + :lease::float8,
  visit = :now + :lease::float8,
  history = CASE WHEN jsonb_array_length(history) < 100 THEN history ELSE history - 10 END
    || jsonb_build_array(jsonb_build_array(
      :now, 'STARTED', CASE WHEN state = 'STARTED' THEN 'claimed after a lost process' ELSE 'claimed' END,
      fence + 1, :instance::text, ''))
WHERE app = :app AND task = :task AND id = :id
  AND (state = 'PENDING' AND due <= :now AND (expires IS NULL OR expires > :now)
       OR state = 'STARTED' AND lease <= :now)

-- name: has_no_limit
-- Apart from the limit's, or the server plans the claim each time, which takes as long as the rest.
AND NOT in_order RETURNING *

-- name: is_within_limit
-- Fewer than its number are held, or come first.
AND limit_key IS NOT NULL AND CASE WHEN in_order THEN 1 ELSE :limit::int END > (
  SELECT count(*) FROM (
    SELECT 1 FROM ucam_faas_jobs AS other
    WHERE other.app = :app AND other.task = :task
      AND other.limit_key = ucam_faas_jobs.limit_key AND other.state = 'STARTED'
      AND other.place <> ucam_faas_jobs.place
      AND (other.lease > :now
           OR ucam_faas_jobs.in_order AND other.place < ucam_faas_jobs.place)
    UNION ALL
    SELECT 1 FROM ucam_faas_jobs AS other
    WHERE other.app = :app AND other.task = :task
      AND other.limit_key = ucam_faas_jobs.limit_key AND other.state = 'PENDING'
      AND other.place < ucam_faas_jobs.place
      AND (other.due <= :now OR ucam_faas_jobs.in_order)
      AND (other.expires IS NULL OR other.expires > :now)
    UNION ALL
    SELECT 1 FROM ucam_faas_jobs AS other
    WHERE other.app = :app AND other.task = :task
      AND other.limit_key = ucam_faas_jobs.limit_key AND other.state = 'PAUSED'
      AND other.place < ucam_faas_jobs.place AND ucam_faas_jobs.in_order
    LIMIT coalesce(:limit::int, 1)
  ) AS counted
)
RETURNING *

-- name: lock_limit
-- The claims of one key come one after the other: each then sees those before it.
SELECT pg_advisory_xact_lock(hashtextextended(json_build_array(app, task, limit_key)::text, 0))
FROM ucam_faas_jobs WHERE app = :app AND task = :task AND id = :id AND limit_key IS NOT NULL

-- name: hold
-- Until the transaction ends, no other process can take the job.
SELECT 1 FROM ucam_faas_jobs
WHERE app = :app AND task = :task AND id = :id AND fence = :fence AND state IN ('STARTED', 'SUCCESS')
FOR SHARE

-- name: set_limit_key
UPDATE ucam_faas_jobs SET limit_key = :limit_key, place = coalesce(place, nextval('ucam_faas_jobs_place_seq'))
WHERE app = :app AND task = :task AND id = :id
  AND limit_key IS NULL AND state IN ('PENDING', 'STARTED', 'PAUSED')
RETURNING *

-- name: next_of
SELECT id, lane FROM (
  SELECT * FROM (
    SELECT id, lane, place FROM ucam_faas_jobs
    WHERE app = :app AND task = :task AND limit_key = :limit_key AND state = 'PENDING'
      AND due <= :now AND (expires IS NULL OR expires > :now)
    ORDER BY place LIMIT 1
  ) AS first
  UNION ALL
  SELECT * FROM (
    SELECT id, lane, place FROM ucam_faas_jobs
    WHERE app = :app AND task = :task AND limit_key = :limit_key AND state = 'STARTED'
      AND lease <= :now
    ORDER BY place LIMIT 1
  ) AS first
) AS either
WHERE :limit::int > (
  SELECT count(*) FROM (
    SELECT 1 FROM ucam_faas_jobs
    WHERE app = :app AND task = :task AND limit_key = :limit_key AND state = 'STARTED'
      AND lease > :now
    LIMIT :limit::int
  ) AS held
)
ORDER BY place LIMIT 1

-- name: change
-- Notifies if the end of the job is waited for: a commit with NOTIFY takes a lock of the whole database.
WITH changed AS (
  UPDATE ucam_faas_jobs SET
    state = :state::text,
    due = coalesce(:now + :wait::float8, due),
    visit = :now + :visit::float8,
    lease = NULL,
    attempts = CASE WHEN :afresh THEN 0 ELSE attempts END + :failed::int,
    interruptions = CASE WHEN :afresh THEN 0 ELSE interruptions END + :interrupted::int,
    expires = CASE WHEN :afresh THEN NULL ELSE expires END,
    cancel_requested = cancel_requested AND NOT :afresh,
    event_due = :event_due,
    result = :result::bytea,
    error = coalesce(:error::text, error),
    history = CASE WHEN jsonb_array_length(history) < 100 THEN history ELSE history - 10 END
      || jsonb_build_array(jsonb_build_array(
        :now, :state::text, :cause::text, fence, :instance::text, :message::text))
  WHERE app = :app AND task = :task AND id = :id
    AND (:fence::int IS NULL OR fence = :fence::int AND state = 'STARTED')
    AND state = ANY(:states::text[])
  RETURNING *
)
SELECT changed.*, CASE
  WHEN watched AND state NOT IN ('PENDING', 'STARTED', 'PAUSED') THEN pg_notify('ucam_faas_jobs', '')::text
END AS notified FROM changed

-- name: report
UPDATE ucam_faas_jobs SET progress = :progress::text
WHERE app = :app AND task = :task AND id = :id AND fence = :fence AND state = 'STARTED'
RETURNING *

-- name: put_step
-- The lock keeps the claim until the step is stored: the next holder of the job reads it.
WITH held AS (
  SELECT app, task, id, cancel_requested FROM ucam_faas_jobs
  WHERE app = :app AND task = :task AND id = :id AND fence = :fence AND state = 'STARTED'
  FOR SHARE
)
INSERT INTO ucam_faas_job_steps (app, task, id, name, value, time)
SELECT app, task, id, :name::text, :value::bytea, :now FROM held
ON CONFLICT (app, task, id, name) DO UPDATE SET value = excluded.value, time = excluded.time
RETURNING (SELECT cancel_requested FROM held)

-- name: steps
SELECT name, value, time FROM ucam_faas_job_steps
WHERE app = :app AND task = :task AND id = :id ORDER BY time, name

-- name: request_cancel
UPDATE ucam_faas_jobs SET cancel_requested = true
WHERE app = :app AND task = :task AND id = :id AND state = 'STARTED'
RETURNING *

-- name: get
SELECT * FROM ucam_faas_jobs WHERE app = :app AND task = :task AND id = :id

-- name: find
SELECT * FROM ucam_faas_jobs
WHERE app = :app AND (:task::text IS NULL OR task = :task)
  AND (:states::text[] = '{}' OR state = ANY(:states::text[]))
  AND created >= coalesce(:since::float8, 0) AND created < coalesce(:until::float8, 1e300)
  AND (:after::float8 IS NULL OR created <> :after OR (id, task) > (:after_id::text, :after_task::text))
ORDER BY created DESC, id, task LIMIT :limit

-- name: find_unsuccessful
-- By an index that has nothing of the others, which are most.
SELECT * FROM ucam_faas_jobs
WHERE app = :app AND (:task::text IS NULL OR task = :task)
  AND state = ANY(:states::text[]) AND state IN ('FAILURE', 'EXPIRED', 'CANCELLED')
  AND created >= coalesce(:since::float8, 0) AND created < coalesce(:until::float8, 1e300)
  AND (:after::float8 IS NULL OR created <> :after OR (id, task) > (:after_id::text, :after_task::text))
ORDER BY created DESC, id, task LIMIT :limit

-- name: find_by_id
-- A look-up in each task: the primary key has the task before the id.
WITH RECURSIVE tasks (task) AS (
  SELECT (SELECT min(task) FROM ucam_faas_jobs WHERE app = :app)
  UNION ALL
  SELECT (SELECT min(task) FROM ucam_faas_jobs WHERE app = :app AND task > tasks.task)
  FROM tasks WHERE tasks.task IS NOT NULL
)
SELECT job.* FROM tasks CROSS JOIN ucam_faas_jobs AS job
WHERE job.app = :app AND job.task = tasks.task AND job.id = :id AND (:task::text IS NULL OR job.task = :task)
  AND (:states::text[] = '{}' OR state = ANY(:states::text[]))
  AND created >= coalesce(:since::float8, 0) AND created < coalesce(:until::float8, 1e300)
ORDER BY created DESC, job.task LIMIT :limit

-- name: has_live_members
SELECT 1 FROM ucam_faas_jobs
WHERE app = :app AND batch = :batch AND state IN ('PENDING', 'STARTED', 'PAUSED') LIMIT 1

-- name: count_members
SELECT state, count(*) AS count FROM ucam_faas_jobs WHERE app = :app AND batch = :batch GROUP BY state

-- name: members
SELECT * FROM ucam_faas_jobs
WHERE app = :app AND batch = :batch AND id > :after ORDER BY id LIMIT :limit

-- name: children
SELECT * FROM ucam_faas_jobs
WHERE app = :app AND parent = :parent AND (task, id) > (:task, :id) ORDER BY task, id LIMIT :limit

-- name: pending
SELECT count(*) AS count FROM (
  SELECT 1 FROM ucam_faas_jobs WHERE app = :app AND task = :task AND state = 'PENDING' LIMIT :limit
) AS counted

-- name: waiting
SELECT count(*) AS count, min(due) AS since FROM (
  SELECT due FROM ucam_faas_jobs
  WHERE app = :app AND task = :task AND state = 'PENDING' AND lane = :lane AND due <= :now LIMIT :limit
) AS counted

-- name: overdue
-- A caller's transaction may hold rows for minutes: the sweep would wait for them, and no other row be looked at.
SELECT * FROM ucam_faas_jobs WHERE app = :app AND visit <= :now ORDER BY visit LIMIT :limit
FOR UPDATE SKIP LOCKED

-- name: visit
UPDATE ucam_faas_jobs SET visit = :now + key.seconds, event_due = event_due AND key.published IS NULL
FROM unnest(:apps::text[], :tasks::text[], :ids::text[], :seconds::float8[], :published::int[])
  AS key (app, task, id, seconds, published)
WHERE (ucam_faas_jobs.app, ucam_faas_jobs.task, ucam_faas_jobs.id) = (key.app, key.task, key.id)
  AND CASE WHEN key.published IS NULL THEN visit <= :now ELSE event_due AND fence = key.published END

-- name: watch
UPDATE ucam_faas_jobs SET watched = true
FROM unnest(:apps::text[], :tasks::text[], :ids::text[]) AS key (app, task, id)
WHERE (ucam_faas_jobs.app, ucam_faas_jobs.task, ucam_faas_jobs.id) = (key.app, key.task, key.id)
  AND NOT watched AND state IN ('PENDING', 'STARTED', 'PAUSED')

-- name: ended
SELECT key.number, job.*
FROM unnest(:apps::text[], :tasks::text[], :ids::text[]) WITH ORDINALITY AS key (app, task, id, number)
LEFT JOIN ucam_faas_jobs AS job ON (job.app, job.task, job.id) = (key.app, key.task, key.id)
WHERE job.id IS NULL OR job.state NOT IN ('PENDING', 'STARTED', 'PAUSED')

-- name: delete
DELETE FROM ucam_faas_jobs
WHERE app = :app AND task = :task AND id = :id AND state = ANY(:states::text[])
RETURNING *

-- name: pause_lane
INSERT INTO ucam_faas_paused_lanes (app, task, lane) VALUES (:app, :task, :lane)
ON CONFLICT DO NOTHING RETURNING lane

-- name: resume_lane
DELETE FROM ucam_faas_paused_lanes WHERE app = :app AND task = :task AND lane = :lane RETURNING lane

-- name: paused_lanes
SELECT task, lane FROM ucam_faas_paused_lanes WHERE app = :app

-- name: time
SELECT :now AS now

-- name: table
-- The same over every connection to one database and schema, also through a proxy or a pooler.
SELECT
  jobs::bigint,
  (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
  extract(epoch FROM pg_postmaster_start_time())::text AS started,
  coalesce(
    (SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = jobs),
    current_schema()
  )::text AS schema
FROM (SELECT to_regclass('ucam_faas_jobs')::oid AS jobs) AS jobs
