"""The first steps of the schema, up to the first release: its tables, in the order in which they came to be."""

from __future__ import annotations

from collections.abc import Mapping

FIRST: Mapping[str, str] = {
    "m001_ground": """
        create table agents (
            name text primary key,
            uid integer,                  -- the user its processes run as; null where hive is not root
            -- What the operator wants: 'resting' is stopped now, and started by the next `hive up`.
            desired text not null check (desired in ('running', 'stopped', 'resting')),
            runner text not null default 'command',  -- of the configuration it was last built with
            parent text,                  -- the agent that asked for it
            created_at real not null,     -- unix seconds, as every time here
            paused integer not null default 0,
            hive_rev text,                -- the rev of the input `hive` it was last built with
            active_model text,
            status_text text,
            status_set_at real
        ) strict;
        create table approvals (
            id integer primary key autoincrement,
            agent text not null,
            kind text not null check (kind in ('apply_commit', 'spawn')),
            commit_ref text not null,     -- as it was asked for
            fetched_sha text,             -- what was really fetched: only this object counts
            base_sha text,                -- what `main` was when it was fetched, and again when it was approved
            requested_by text not null,
            requested_at real not null,
            status text not null check (status in ('pending', 'approved', 'denied', 'failed')),
            resolved_at real,
            note text,
            description text,
            tagged integer not null default 1  -- 0: denied, and the tag that says so is still to be made
        ) strict;
        create index approvals_untagged on approvals (id) where not tagged;
        create index approvals_pending on approvals (agent) where status = 'pending';
        create table operations (
            agent text primary key,
            kind text not null,
            since real not null,
            owner text not null,          -- hive_core.process.Owner as JSON: who to ask whether it still lives
            recovery text,                -- who finishes or undoes it when the owner died; null: nothing to mend
            detail text not null          -- JSON, what the recovery needs to know
        ) strict;
        create table events (
            seq integer primary key autoincrement,
            at real not null,
            kind text not null,
            agent text,
            data text not null            -- JSON object
        ) strict;
        create index events_kind on events (kind, seq);
        create table messages (
            id integer primary key autoincrement,
            sender text not null,
            recipient text not null,
            body text not null,
            sent_at real not null,
            delivered_at real,
            acknowledged_at real,
            deliveries integer not null default 0
        ) strict;
        create index messages_waiting on messages (recipient, id) where delivered_at is null;
        create table pictures (
            name text primary key,        -- one row per container at the last look
            running integer not null,
            instance text,                -- which start of it: changes when it was restarted
            logged_in integer not null,
            up_to_date integer not null,
            view text not null            -- JSON: what the faces were last shown
        ) strict;
    """,
    "m002_talk": """
        alter table agents add column allowed_recipients text not null default '["*"]';  -- JSON, of its configuration
        alter table agents add column restart text not null default 'never';  -- of its configuration
        alter table agents add column crashes integer not null default 0;     -- in a row, without a quiet time between
        alter table agents add column crashed_at real;
        alter table agents add column restart_at real;                        -- when the watch is to start it again
        alter table agents add column has_key integer not null default 0;  -- its configuration holds a key to log in by
        alter table agents add column state text;      -- what the harness last said: idle, thinking, ...
        alter table agents add column until real;      -- when a rate limit ends
        alter table agents add column model text;      -- what the operator chose, before what the configuration says
        create index messages_unacknowledged on messages (recipient, id)
            where delivered_at is not null and acknowledged_at is null;
        create index messages_recent on messages (recipient, sent_at);
        create virtual table messages_search using fts4 (body, content='messages', tokenize=unicode61);
        create trigger messages_found after insert on messages begin
            insert into messages_search (docid, body) values (new.id, new.body);
        end;
        create trigger messages_lost before delete on messages begin
            delete from messages_search where docid = old.id;
        end;
        create table questions (
            id integer primary key autoincrement,
            asker text not null,
            target text not null,         -- 'operator' or an agent
            question text not null,
            options text not null,        -- JSON array of strings
            multi integer not null,
            asked_at real not null,
            deadline_at real,
            answer text,
            answerer text,
            answered_at real,
            cancelled integer not null default 0
        ) strict;
        create index questions_open on questions (deadline_at) where answered_at is null;
    """,
    "m003_repairs": """
        create table repairs (            -- what was left half-done and could not be mended yet
            what text primary key,        -- which: 'operation/AGENT', 'denied/ID'
            agent text not null,
            error text not null,          -- why it failed last
            since real not null,          -- when it failed first
            tried_at real not null,
            tries integer not null,
            due_at real not null          -- when it is tried again by itself
        ) strict;
    """,
    "m004_readers": """
        -- Agents as they read and write. What one of them sees of messages and questions, their ids and their ranks in
        -- a search included, comes of its own alone: it must not tell how much others say, nor what.
        create table readers (
            key integer primary key autoincrement,  -- begins its words in the index; never used again
            name text not null unique,
            messages integer not null default 0,    -- how many it has sent or got: it knows them by these numbers
            questions integer not null default 0    -- how many it has asked or been asked
        ) strict;
        -- The operator and the system have neither key nor numbers: they know everything by its id.
        alter table messages add column sender_key integer;
        alter table messages add column sender_number integer;
        alter table messages add column recipient_key integer;
        alter table messages add column recipient_number integer;
        alter table questions add column asker_number integer;
        alter table questions add column target_number integer;

        -- What there is already keeps the ids that it is known by.
        insert into readers (name, messages, questions)
            select name, max(message), max(question) from (
                select sender as name, id as message, 0 as question from messages
                union all select recipient, id, 0 from messages
                union all select asker, 0, id from questions
                union all select target, 0, id from questions
            ) where name not in ('operator', 'system') group by name;
        update messages set
            sender_key = (select key from readers where name = sender),
            recipient_key = (select key from readers where name = recipient);
        update messages set
            sender_number = iif(sender_key is null, null, id),
            recipient_number = iif(recipient_key is null, null, id);
        update questions set
            asker_number = iif(asker = 'operator', null, id),
            target_number = iif(target = 'operator', null, id);

        drop index messages_recent;
        create index messages_sent on messages (sender_key, sender_number);
        create index messages_got on messages (recipient_key, recipient_number);
        -- Who has written to an inbox what is not read yet; the same `kick` twice is found here too.
        create index messages_unread on messages (recipient, sender) where delivered_at is null;
        create index questions_asked on questions (asker, asker_number);
        create index questions_put on questions (target, target_number);
        create index questions_waiting on questions (asker) where answered_at is null;
        create index questions_due on questions (target) where answered_at is null;

        -- The index of words. Column `body` is everybody's, for the operator. In `own` each word stands behind the key
        -- of who has sent it and behind that of who got it: nothing of others is even looked at for an agent.
        drop trigger messages_found;
        drop trigger messages_lost;
        drop table messages_search;
        create virtual table messages_words using fts3tokenize(unicode61);
        create view messages_indexed as select
            id as rowid,
            body,
            coalesce((select group_concat('k' || sender_key || 'z' || token, ' ') from messages_words
                where input = body), '')
            || ' ' || coalesce((select group_concat('k' || recipient_key || 'z' || token, ' ') from messages_words
                where input = body and recipient_key is not sender_key), '') as own
            from messages;
        create virtual table messages_search using fts4 (
            body, own, content='messages_indexed', tokenize=unicode61, order=desc
        );
        -- Segments are merged a little at each message, never all at once.
        insert into messages_search (messages_search) values ('automerge=8');
        insert into messages_search (messages_search) values ('rebuild');
        create trigger messages_found after insert on messages begin
            insert or ignore into readers (name) select new.sender where new.sender not in ('operator', 'system');
            insert or ignore into readers (name) select new.recipient where new.recipient not in ('operator', 'system');
            update readers set messages = messages + 1 where name in (new.sender, new.recipient);
            update messages set
                (sender_key, sender_number) = (select key, messages from readers where name = new.sender),
                (recipient_key, recipient_number) = (select key, messages from readers where name = new.recipient)
                where id = new.id;
            insert into messages_search (docid, body, own)
                select rowid, body, own from messages_indexed where rowid = new.id;
        end;
        create trigger messages_lost before delete on messages begin
            delete from messages_search where docid = old.id;
        end;
        create trigger questions_numbered after insert on questions begin
            insert or ignore into readers (name) select new.asker where new.asker not in ('operator', 'system');
            insert or ignore into readers (name) select new.target where new.target not in ('operator', 'system');
            update readers set questions = questions + 1 where name in (new.asker, new.target);
            update questions set
                asker_number = (select questions from readers where name = new.asker),
                target_number = (select questions from readers where name = new.target)
                where id = new.id;
        end;
    """,
    "m005_fan_outs": """
        create table fan_outs (
            -- An agent that somebody is going to rebuild, and the process that is at it, as in operations.
            agent text primary key,
            owner text not null
        ) strict;
    """,
    "m006_requests": """
        -- What is asked of the history of requests when one more is made.
        create index approvals_failed on approvals (requested_by, requested_at)
            where status = 'failed' and fetched_sha is null;
        create index approvals_repeated on approvals (agent, commit_ref) where status = 'failed';
        create index approvals_deployed on approvals (agent, resolved_at) where status = 'approved';
    """,
    "m007_restarts": """
        -- Whether the manager was told of the restart that is due, with the crash.
        alter table agents add column restart_told integer not null default 0;
    """,
    "m008_people": """
        -- What somebody has said: among all that the system tells, the newest of it is found at once.
        create index messages_said on messages (id) where sender != 'system';
    """,
    "m009_given": """
        -- JSON: the names of the environment variables that its configuration gives its CLI something by
        alter table agents add column given text not null default '[]';
        -- Which key it was is told by the next build; any one that the CLI takes stands for it until then.
        update agents set given = '["ANTHROPIC_API_KEY"]' where has_key and runner = 'claude';
        update agents set given = '["CODEX_API_KEY"]' where has_key and runner = 'codex';
        alter table agents drop column has_key;
    """,
    "m010_changes": """
        -- Where the change is declared that an operation carries out, as module:NAME: there whoever mends it finds how.
        alter table operations rename column recovery to change;
        update operations set change = 'hive_fleet.changes.' || case change
            when 'agree' then 'running:' || upper(kind)
            when 'rebuild' then 'rebuilds:REBUILD'
            when 'deploy' then 'deploys:DEPLOY'
            when 'spawn' then 'spawns:SPAWN'
            when 'destroy' then 'removals:DESTROY'
            when 'purge' then 'removals:PURGE'
            when 'adopt' then 'adoptions:ADOPT'
            when 'migrate' then 'takeovers:MIGRATE'
            else 'running:RESTING' end;
    """,
    "m011_steps": """
        -- JSON: what it does one after the other, as a list of {step, state, at}.
        alter table operations add column steps text not null default '[]';
    """,
    "m012_state": """
        create table snapshots (
            -- What was told last of something whole: it outlives the event that told it.
            kind text primary key,
            data text not null            -- JSON, as in the event
        ) strict;
        insert into snapshots (kind, data)
            select kind, data from events where seq in (
                select max(seq) from events where kind in ('tombstones_changed', 'meta_inputs_changed') group by kind);
        -- The newest of what is over, and of what the system has told, among whatever else there is.
        create index messages_told on messages (id) where sender = 'system';
        create index approvals_decided on approvals (cast(resolved_at as integer), id)
            where status != 'pending' and resolved_at is not null;
        create index questions_answered on questions (cast(answered_at as integer), id)
            where target = 'operator' and answered_at is not null;
    """,
}
