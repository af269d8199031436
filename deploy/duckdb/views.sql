-- Views for asking an exchange's log questions with DuckDB (1.2 or later).
--
--     SET VARIABLE mess_data = 'data';      -- or 's3://bucket', 'r2://bucket'; without it: data
--     .read views.sql
--
-- They read the objects anew for each query, so they answer with what is there now. docs/questions.md shows how to
-- use them. What they say of threads, messages and executors is what the API says of them; a test holds that.
--
-- Data of the original server is read too: lines that are no JSON, times that are none, statuses in other
-- spellings. Its events have no seq. They come first, by ts, then by type, then by key.

-- One row for each event. While a day is merged its events stand in two objects, so each is taken once.
-- place is the order of events in an exchange.
CREATE OR REPLACE VIEW events AS
SELECT event_id, seq, ts, exchange_id, thread_ref, event_type, actor_id, payload,
       {seq: coalesce(seq, 0), ts: ts, rank: CASE event_type WHEN 'executor_registered' THEN 0 WHEN 'thread_created' THEN 1
                                                   WHEN 'status_changed' THEN 2 WHEN 'message_added' THEN 3 ELSE 4 END, key: filename} AS place
FROM (
    SELECT event_id, try_cast(seq AS BIGINT) AS seq,
           -- a time that is none counts as the beginning of the day of its folder
           coalesce(try_cast(ts AS TIMESTAMP), try_cast(replace(regexp_extract(filename, '/(\d{4}/\d{2}/\d{2})/[^/]*$', 1), '/', '-') AS TIMESTAMP)) AS ts,
           coalesce(nullif(exchange_id, ''), exchange) AS exchange_id, nullif(thread_ref, '') AS thread_ref, event_type, actor_id,
           CASE json_type(payload) WHEN 'OBJECT' THEN payload ELSE '{}'::JSON END AS payload, exchange, filename
    FROM read_json(coalesce(getvariable('mess_data')::VARCHAR, 'data') || '/events/**/*.jsonl',
         format = 'newline_delimited', ignore_errors = true, hive_partitioning = true, hive_types = {exchange: VARCHAR}, filename = true, maximum_object_size = 33554432,
         columns = {event_id: 'VARCHAR', seq: 'VARCHAR', ts: 'VARCHAR', exchange_id: 'VARCHAR', thread_ref: 'VARCHAR',
                    event_type: 'VARCHAR', actor_id: 'VARCHAR', payload: 'JSON'})
)
WHERE exchange NOT LIKE '-%' AND exchange_id = exchange AND event_id <> '-schema'
QUALIFY row_number() OVER (PARTITION BY exchange_id, event_id ORDER BY filename) = 1;

-- One row for each change of a thread's status, with who holds the thread afterwards (NULL for nobody).
CREATE OR REPLACE VIEW status_changes AS
WITH changes AS (
    SELECT exchange_id, thread_ref, seq, ts, event_id, actor_id, place, (payload->>'message') AS message,
           CASE (payload->>'old_status') WHEN 'in-progress' THEN 'in_progress' WHEN 'needs-input' THEN 'needs_input' WHEN 'needs-confirmation' THEN 'needs_confirmation'
                WHEN 'canceled' THEN 'cancelled' WHEN 'rejected' THEN 'declined' ELSE (payload->>'old_status') END AS old_status,
           CASE (payload->>'new_status') WHEN 'in-progress' THEN 'in_progress' WHEN 'needs-input' THEN 'needs_input' WHEN 'needs-confirmation' THEN 'needs_confirmation'
                WHEN 'canceled' THEN 'cancelled' WHEN 'rejected' THEN 'declined' WHEN 'delegated' THEN 'pending' ELSE (payload->>'new_status') END AS new_status,
           CASE WHEN (payload->>'executor_id') IN ('', 'false', '0') THEN NULL ELSE (payload->>'executor_id') END AS named
    FROM events
    WHERE event_type = 'status_changed' AND thread_ref IS NOT NULL AND (payload->>'new_status') <> ''
), turns AS ( -- from one time that nobody holds the thread to the next
    SELECT *, sum((new_status = 'pending')::INT) OVER (PARTITION BY exchange_id, thread_ref ORDER BY place) AS turn FROM changes
)
SELECT exchange_id, thread_ref, seq, ts, event_id, actor_id, old_status, new_status, message, place,
       CASE WHEN seq > 0 THEN named -- this server says it; the original repeated whom it knew
            WHEN new_status = 'pending' THEN NULL
            ELSE coalesce(
                last_value(CASE WHEN new_status = 'claimed' THEN coalesce(named, actor_id) END IGNORE NULLS) OVER so_far,
                first_value(CASE WHEN new_status IN ('in_progress', 'waiting', 'held', 'retrying', 'needs_input', 'needs_confirmation', 'completed', 'partial', 'failed', 'declined')
                                 THEN coalesce(named, actor_id) END IGNORE NULLS) OVER so_far)
       END AS executor_id
FROM turns
WINDOW so_far AS (PARTITION BY exchange_id, thread_ref, turn ORDER BY place ROWS UNBOUNDED PRECEDING);

-- One row for each message, numbered from 1 in its thread. mess is its list of blocks; large photos and files stand
-- beside the log, in attachments/.
CREATE OR REPLACE VIEW messages AS
SELECT exchange_id, thread_ref, row_number() OVER (PARTITION BY exchange_id, thread_ref ORDER BY place, number) AS number, seq, ts, "from", mess,
       json_array_length(mess) AS blocks
FROM (
    SELECT exchange_id, thread_ref, seq, ts, actor_id AS "from", place, 0 AS number, (payload->'mess') AS said
    FROM events WHERE event_type = 'message_added'
    UNION ALL
    SELECT exchange_id, thread_ref, seq, coalesce(try_cast(doc->>'received' AS TIMESTAMP), ts), (doc->>'from'), place, number, (doc->'MESS')
    FROM (SELECT *, unnest(range(1, json_array_length(payload->'documents')::BIGINT)) AS number, (payload->'documents'->number::INT) AS doc
          FROM events WHERE event_type = 'thread_imported')
), LATERAL (SELECT CASE json_type(said) WHEN 'ARRAY' THEN said WHEN 'NULL' THEN '[]'::JSON ELSE coalesce(json_array(said), '[]'::JSON) END AS mess)
WHERE thread_ref IS NOT NULL;

-- One row for each request, as it is now.
CREATE OR REPLACE VIEW threads AS
WITH firsts AS (
    SELECT exchange_id, thread_ref,
           arg_min(CASE WHEN event_type = 'thread_imported' THEN (payload->'documents'->0) ELSE payload END, place) FILTER (event_type IN ('thread_created', 'thread_imported')) AS said,
           arg_min(actor_id, place) FILTER (event_type IN ('thread_created', 'thread_imported')) AS creator,
           arg_min(event_type = 'thread_imported', place) FILTER (event_type IN ('thread_created', 'thread_imported')) AS imported,
           coalesce(min(ts) FILTER (event_type = 'thread_created'), min(ts)) AS began, max(ts) AS updated_at
    FROM events
    WHERE thread_ref IS NOT NULL AND event_type IN ('thread_created', 'thread_imported', 'status_changed', 'message_added')
    GROUP BY ALL
), lasts AS (
    SELECT exchange_id, thread_ref, arg_max({status: new_status, executor_id: executor_id}, place) AS last FROM status_changes GROUP BY ALL
), counts AS (
    SELECT exchange_id, thread_ref, count(*) AS messages FROM messages GROUP BY ALL
)
SELECT exchange_id, thread_ref,
       coalesce(last.status, nullif(CASE WHEN imported THEN (said->>'status') END, ''), 'pending') AS status,
       coalesce(said->>'intent', '') AS intent,
       CASE WHEN (said->>'priority') IN ('', 'false', '0') THEN 'normal' ELSE coalesce(said->>'priority', 'normal') END AS priority,
       CASE WHEN imported THEN (said->>'requestor')
            WHEN (said->>'requestor_id') IN ('', 'false', '0') THEN creator ELSE coalesce(said->>'requestor_id', creator) END AS requestor_id,
       CASE WHEN last IS NOT NULL THEN last.executor_id WHEN imported AND (said->>'status') <> 'pending' THEN nullif(said->>'executor', '') END AS executor_id,
       CASE WHEN imported THEN coalesce(try_cast(said->>'created' AS TIMESTAMP), began) ELSE began END AS created_at,
       updated_at, coalesce(messages, 0) AS messages
FROM firsts LEFT JOIN lasts USING (exchange_id, thread_ref) LEFT JOIN counts USING (exchange_id, thread_ref);

-- One row for each executor that ever was; removed_at is NULL for those who are there.
CREATE OR REPLACE VIEW executors AS
WITH said AS (
    SELECT exchange_id, actor_id AS executor_id, ts, place, event_type, payload FROM events
    WHERE event_type IN ('executor_registered', 'executor_updated', 'executor_removed') AND actor_id <> ''
    UNION ALL -- those of the original server, as its profiles had them
    SELECT exchange_id, executor_id, ts, place, event_type, (payload->'executors'->executor_id)
    FROM (SELECT *, unnest(json_keys(payload->'executors')) AS executor_id FROM events WHERE event_type = 'exchange_opened' AND json_type(payload->'executors') = 'OBJECT')
)
SELECT exchange_id, executor_id,
       coalesce(nullif(arg_max(payload->>'display_name', place) FILTER (payload->>'display_name' IS NOT NULL), ''), executor_id) AS display_name,
       coalesce(arg_max(payload->'capabilities', place) FILTER (json_type(payload->'capabilities') = 'ARRAY'), '[]'::JSON) AS capabilities,
       min(ts) AS registered_at, min(ts) FILTER (event_type = 'executor_removed') AS removed_at
FROM said GROUP BY exchange_id, executor_id;

-- How much happened on each day (UTC).
CREATE OR REPLACE VIEW daily_counts AS
SELECT exchange_id, ts::DATE AS day,
       count(*) FILTER (event_type IN ('thread_created', 'thread_imported')) AS created,
       count(*) FILTER (event_type = 'status_changed' AND (payload->>'new_status') = 'completed') AS completed,
       count(*) FILTER (event_type = 'status_changed' AND (payload->>'new_status') = 'expired') AS expired,
       count(*) FILTER (event_type = 'message_added') AS messages,
       count(DISTINCT thread_ref) AS threads, count(DISTINCT actor_id) FILTER (actor_id NOT IN ('', '-')) AS executors
FROM events WHERE event_type NOT LIKE 'note\_%' ESCAPE '\' AND event_type <> 'exchange_opened' AND event_type <> 'day_closed'
GROUP BY ALL;

-- How soon each executor claims and completes, in seconds: of the last claim of each thread, and what it came to.
CREATE OR REPLACE VIEW executor_times AS
WITH claims AS (
    SELECT exchange_id, thread_ref, arg_max({who: executor_id, moment: ts}, place) AS claim FROM status_changes WHERE new_status = 'claimed' GROUP BY ALL
), ends AS (
    SELECT exchange_id, thread_ref, max(ts) AS completed_at FROM status_changes WHERE new_status = 'completed' GROUP BY ALL
)
SELECT t.exchange_id, claim.who AS executor_id, count(*) AS claimed, count(completed_at) AS completed,
       median(epoch(claim.moment - created_at)) AS median_to_claim, quantile_cont(epoch(claim.moment - created_at), 0.95) AS p95_to_claim,
       median(epoch(completed_at - claim.moment)) AS median_to_complete, quantile_cont(epoch(completed_at - claim.moment), 0.95) AS p95_to_complete
FROM claims JOIN threads t USING (exchange_id, thread_ref) LEFT JOIN ends e ON e.exchange_id = t.exchange_id AND e.thread_ref = t.thread_ref AND completed_at >= claim.moment
GROUP BY ALL;

-- One row for each notification or hook, as it stands: outcome is delivered, failed or dropped, or retry or deferred
-- while another attempt is to come at next_try. attempts counts those that were made.
CREATE OR REPLACE VIEW deliveries AS
WITH rounds AS (
    SELECT exchange_id, ts, place, try_cast(payload->>'event' AS BIGINT) AS event_seq, (payload->>'ref') AS ref, unnest((payload->'outcomes')::JSON[]) AS said
    FROM events WHERE event_type = 'note_delivery'
), outcomes AS (
    SELECT exchange_id, event_seq, ref, (said->>'executor') AS executor_id, (said->>'channel') AS channel, try_cast(said->>'attempt' AS INT) AS attempt, ts, place,
           {outcome: (said->>'outcome'), status: try_cast(said->>'status' AS INT), reason: (said->>'reason'), due: try_cast(said->>'next' AS TIMESTAMP)} AS outcome
    FROM rounds
), lasts AS (
    SELECT exchange_id, event_seq, ref, executor_id, channel, max(attempt) AS attempts, arg_max(outcome, place) AS last, min(ts) AS first_at, max(ts) AS last_at
    FROM outcomes GROUP BY ALL
)
SELECT exchange_id, event_seq, ref AS thread_ref, executor_id, channel, attempts, last.outcome AS outcome, last.status AS http_status, last.reason AS reason,
       first_at, last_at, last.due AS next_try
FROM lasts;

-- Those that did not arrive and will not.
CREATE OR REPLACE VIEW notification_failures AS
SELECT * FROM deliveries WHERE outcome IN ('failed', 'dropped');
