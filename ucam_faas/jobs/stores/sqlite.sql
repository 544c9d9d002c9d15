-- The statements of the SQLite store, each after its name. Times are epoch seconds; :now is the store's time.

-- name: schema
-- Raise SCHEMA in sqlite.py with each change, and list a new column in its ADDED_COLUMNS.
CREATE TABLE IF NOT EXISTS ucam_faas_jobs (
  app TEXT NOT NULL, task TEXT NOT NULL, id TEXT NOT NULL,
  payload BLOB NOT NULL, attributes TEXT NOT NULL, ordering_key TEXT NOT NULL,
  options TEXT NOT NULL, source TEXT NOT NULL, owner TEXT NOT NULL, "unique" TEXT,
  state TEXT NOT NULL,
  created REAL NOT NULL, due REAL NOT NULL, expires REAL, visit REAL NOT NULL,
  fence INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
  interruptions INTEGER NOT NULL DEFAULT 0,
  lease REAL, steady REAL, boot TEXT,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  event_due INTEGER NOT NULL DEFAULT 0,
  result BLOB, error TEXT, progress TEXT, history TEXT NOT NULL,
  limit_key TEXT, in_order INTEGER NOT NULL DEFAULT 0, lane TEXT NOT NULL DEFAULT 'default',
  batch TEXT, parent TEXT,
  PRIMARY KEY (app, task, id)
);
DROP INDEX IF EXISTS ucam_faas_jobs_visit;
CREATE INDEX IF NOT EXISTS ucam_faas_jobs_overdue ON ucam_faas_jobs (app, visit);
CREATE INDEX IF NOT EXISTS ucam_faas_jobs_created ON ucam_faas_jobs (app, created);
CREATE INDEX IF NOT EXISTS ucam_faas_jobs_by_task ON ucam_faas_jobs (app, task, created);
CREATE INDEX IF NOT EXISTS ucam_faas_jobs_pending ON ucam_faas_jobs (app, task) WHERE state = 'PENDING';
CREATE UNIQUE INDEX IF NOT EXISTS ucam_faas_jobs_unique ON ucam_faas_jobs (app, task, "unique")
  WHERE "unique" IS NOT NULL AND state IN ('PENDING', 'STARTED', 'PAUSED');
-- With the rowid, which is in each index: the order of sending.
CREATE INDEX IF NOT EXISTS ucam_faas_jobs_limited ON ucam_faas_jobs (app, task, limit_key, state)
  WHERE limit_key IS NOT NULL;
CREATE TABLE IF NOT EXISTS ucam_faas_paused_lanes (
  app TEXT NOT NULL, task TEXT NOT NULL, lane TEXT NOT NULL,
  PRIMARY KEY (app, task, lane)
);
CREATE INDEX IF NOT EXISTS ucam_faas_jobs_batch ON ucam_faas_jobs (app, batch, id) WHERE batch IS NOT NULL;
CREATE INDEX IF NOT EXISTS ucam_faas_jobs_parent ON ucam_faas_jobs (app, parent, task, id) WHERE parent IS NOT NULL;
CREATE INDEX IF NOT EXISTS ucam_faas_jobs_unsuccessful ON ucam_faas_jobs (app, created)
  WHERE state IN ('FAILURE', 'EXPIRED', 'CANCELLED');
-- Has nothing of members that have ended: the look for live ones doesn't pass them.
CREATE INDEX IF NOT EXISTS ucam_faas_jobs_live_members ON ucam_faas_jobs (app, batch)
  WHERE batch IS NOT NULL AND state IN ('PENDING', 'STARTED', 'PAUSED');
CREATE TABLE IF NOT EXISTS ucam_faas_job_steps (
  app TEXT NOT NULL, task TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
  value BLOB NOT NULL, time REAL NOT NULL,
  PRIMARY KEY (app, task, id, name)
) WITHOUT ROWID;
-- A foreign key would need a setting of each connection, and callers have theirs.
CREATE TRIGGER IF NOT EXISTS ucam_faas_jobs_removed AFTER DELETE ON ucam_faas_jobs BEGIN
  DELETE FROM ucam_faas_job_steps WHERE app = old.app AND task = old.task AND id = old.id;
END;

-- name: insert
INSERT INTO ucam_faas_jobs (
  app, task, id, payload, attributes, ordering_key, options, source, owner, "unique",
  limit_key, in_order, lane, batch, parent, state, created, due, expires, visit, history
) VALUES (
  :app, :task, :id, :payload, :attributes, :ordering_key, :options, :source, :owner, :unique,
  :limit_key, :in_order, :lane, :batch, :parent, :state, :now, :now + :wait, :now + :ttl, :now + :visit, :history
)
ON CONFLICT DO NOTHING

-- name: inserted
SELECT * FROM ucam_faas_jobs
WHERE app = :app AND task = :task
  AND (id = :id OR "unique" = :unique AND state IN ('PENDING', 'STARTED', 'PAUSED'))
ORDER BY id = :id DESC LIMIT 1

-- name: holds
SELECT 1 FROM ucam_faas_jobs
WHERE app = :app AND task = :task AND id = :id AND fence = :fence AND state = 'STARTED'

-- name: hold
-- The transaction has the file's only lock for writing: until its end, no other process can take the job.
SELECT 1 FROM ucam_faas_jobs
WHERE app = :app AND task = :task AND id = :id AND fence = :fence AND state IN ('STARTED', 'SUCCESS')

-- name: claim
-- A lease ends by the steady clock of the machine's present run, so that setting the clock ends none.
-- The last condition is that of a limit: fewer than its number are held, or come first.
UPDATE ucam_faas_jobs SET
  state = 'STARTED',
  fence = fence + 1,
  attempts = attempts + (state = 'STARTED'),
  lease = :now + :lease, steady = :steady + :lease, boot = :boot,
  visit = :now + :lease,
  history = json_insert(
    iif(json_array_length(history) < 100, history, json_remove(history, '$[10]')),
    '$[#]', json_array(:now, 'STARTED', iif(state = 'STARTED', 'claimed after a lost process', 'claimed'), fence + 1, :instance, '')
  )
WHERE app = :app AND task = :task AND id = :id
  AND (state = 'PENDING' AND due <= :now AND (expires IS NULL OR expires > :now)
       OR state = 'STARTED' AND iif(boot = :boot, steady <= :steady, lease <= :now))
  AND (:limit IS NULL AND NOT in_order
       OR limit_key IS NOT NULL AND iif(in_order, 1, :limit) > (
         SELECT count(*) FROM (
           SELECT 1 FROM ucam_faas_jobs AS other
           WHERE other.app = :app AND other.task = :task
             AND other.limit_key = ucam_faas_jobs.limit_key AND other.state = 'STARTED'
             AND other.rowid <> ucam_faas_jobs.rowid
             AND (iif(other.boot = :boot, other.steady > :steady, other.lease > :now)
                  OR ucam_faas_jobs.in_order AND other.rowid < ucam_faas_jobs.rowid)
           UNION ALL
           SELECT 1 FROM ucam_faas_jobs AS other
           WHERE other.app = :app AND other.task = :task
             AND other.limit_key = ucam_faas_jobs.limit_key AND other.state = 'PENDING'
             AND other.rowid < ucam_faas_jobs.rowid
             AND (other.due <= :now OR ucam_faas_jobs.in_order)
             AND (other.expires IS NULL OR other.expires > :now)
           UNION ALL
           SELECT 1 FROM ucam_faas_jobs AS other
           WHERE other.app = :app AND other.task = :task
             AND other.limit_key = ucam_faas_jobs.limit_key AND other.state = 'PAUSED'
             AND other.rowid < ucam_faas_jobs.rowid AND ucam_faas_jobs.in_order
           LIMIT coalesce(:limit, 1)
         )
       ))
RETURNING *

-- name: set_limit_key
UPDATE ucam_faas_jobs SET limit_key = :limit_key
WHERE app = :app AND task = :task AND id = :id
  AND limit_key IS NULL AND state IN ('PENDING', 'STARTED', 'PAUSED')
RETURNING *

-- name: next_of
SELECT id, lane FROM (
  SELECT * FROM (
    SELECT id, lane, rowid AS place FROM ucam_faas_jobs
    WHERE app = :app AND task = :task AND limit_key = :limit_key AND state = 'PENDING'
      AND due <= :now AND (expires IS NULL OR expires > :now)
    ORDER BY rowid LIMIT 1
  )
  UNION ALL
  SELECT * FROM (
    SELECT id, lane, rowid AS place FROM ucam_faas_jobs
    WHERE app = :app AND task = :task AND limit_key = :limit_key AND state = 'STARTED'
      AND iif(boot = :boot, steady <= :steady, lease <= :now)
    ORDER BY rowid LIMIT 1
  )
)
WHERE :limit > (
  SELECT count(*) FROM (
    SELECT 1 FROM ucam_faas_jobs
    WHERE app = :app AND task = :task AND limit_key = :limit_key AND state = 'STARTED'
      AND iif(boot = :boot, steady > :steady, lease > :now)
    LIMIT :limit
  )
)
ORDER BY place LIMIT 1

-- name: change
UPDATE ucam_faas_jobs SET
  state = :state,
  due = coalesce(:now + :wait, due),
  visit = :now + :visit,
  lease = NULL,
  attempts = iif(:afresh, 0, attempts) + :failed,
  interruptions = iif(:afresh, 0, interruptions) + :interrupted,
  expires = iif(:afresh, NULL, expires),
  cancel_requested = iif(:afresh, 0, cancel_requested),
  event_due = :event_due,
  result = :result,
  error = coalesce(:error, error),
  history = json_insert(
    iif(json_array_length(history) < 100, history, json_remove(history, '$[10]')),
    '$[#]', json_array(:now, :state, :cause, fence, :instance, :message)
  )
WHERE app = :app AND task = :task AND id = :id
  AND (:fence IS NULL OR fence = :fence AND state = 'STARTED')
  AND instr(:states, state)
RETURNING *

-- name: report
UPDATE ucam_faas_jobs SET progress = :progress
WHERE app = :app AND task = :task AND id = :id AND fence = :fence AND state = 'STARTED'
RETURNING *

-- name: put_step
INSERT INTO ucam_faas_job_steps (app, task, id, name, value, time)
SELECT app, task, id, :name, :value, :now FROM ucam_faas_jobs
WHERE app = :app AND task = :task AND id = :id AND fence = :fence AND state = 'STARTED'
ON CONFLICT DO UPDATE SET value = excluded.value, time = excluded.time
RETURNING (
  SELECT cancel_requested FROM ucam_faas_jobs WHERE app = :app AND task = :task AND id = :id
) AS cancel_requested

-- name: steps
SELECT name, value, time FROM ucam_faas_job_steps
WHERE app = :app AND task = :task AND id = :id ORDER BY time, name

-- name: request_cancel
UPDATE ucam_faas_jobs SET cancel_requested = 1
WHERE app = :app AND task = :task AND id = :id AND state = 'STARTED'
RETURNING *

-- name: get
SELECT * FROM ucam_faas_jobs WHERE app = :app AND task = :task AND id = :id

-- name: find
SELECT * FROM ucam_faas_jobs
WHERE app = :app AND (:task IS NULL OR task = :task)
  AND (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
  AND created >= coalesce(:since, 0) AND created < coalesce(:until, 1e300)
  AND (:after IS NULL OR created <> :after OR (id, task) > (:after_id, :after_task))
ORDER BY created DESC, id, task LIMIT :limit

-- name: find_of_task
-- By an index of the task's own: it may be rare.
SELECT * FROM ucam_faas_jobs
WHERE app = :app AND task = :task
  AND (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
  AND created >= coalesce(:since, 0) AND created < coalesce(:until, 1e300)
  AND (:after IS NULL OR created <> :after OR (id, task) > (:after_id, :after_task))
ORDER BY created DESC, id LIMIT :limit

-- name: find_unsuccessful
-- By an index that has nothing of the others, which are most.
SELECT * FROM ucam_faas_jobs
WHERE app = :app AND (:task IS NULL OR task = :task)
  AND state IN (SELECT value FROM json_each(:states)) AND state IN ('FAILURE', 'EXPIRED', 'CANCELLED')
  AND created >= coalesce(:since, 0) AND created < coalesce(:until, 1e300)
  AND (:after IS NULL OR created <> :after OR (id, task) > (:after_id, :after_task))
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
WHERE job.app = :app AND job.task = tasks.task AND job.id = :id AND (:task IS NULL OR job.task = :task)
  AND (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
  AND created >= coalesce(:since, 0) AND created < coalesce(:until, 1e300)
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
)

-- name: waiting
SELECT count(*) AS count, min(due) AS since FROM (
  SELECT due FROM ucam_faas_jobs
  WHERE app = :app AND task = :task AND state = 'PENDING' AND lane = :lane AND due <= :now LIMIT :limit
)

-- name: ended
SELECT key.key AS number, job.*
FROM json_each(:keys) AS key LEFT JOIN ucam_faas_jobs AS job
  ON job.app = key.value ->> 0 AND job.task = key.value ->> 1 AND job.id = key.value ->> 2
WHERE job.id IS NULL OR job.state NOT IN ('PENDING', 'STARTED', 'PAUSED')

-- name: overdue
SELECT * FROM ucam_faas_jobs WHERE app = :app AND visit <= :now ORDER BY visit LIMIT :limit

-- name: visit
UPDATE ucam_faas_jobs SET visit = :now + :seconds, event_due = event_due AND :published IS NULL
WHERE app = :app AND task = :task AND id = :id
  AND iif(:published IS NULL, visit <= :now, event_due AND fence = :published)

-- name: delete
DELETE FROM ucam_faas_jobs
WHERE app = :app AND task = :task AND id = :id
  AND instr(:states, state)
RETURNING *

-- name: pause_lane
INSERT INTO ucam_faas_paused_lanes (app, task, lane) VALUES (:app, :task, :lane)
ON CONFLICT DO NOTHING RETURNING lane

-- name: resume_lane
DELETE FROM ucam_faas_paused_lanes WHERE app = :app AND task = :task AND lane = :lane RETURNING lane

-- name: paused_lanes
SELECT task, lane FROM ucam_faas_paused_lanes WHERE app = :app
