-- Three roles for a database of postseal. Run it as the owner of the database, after `postseal store upgrade URL` has made the tables:
--
--     postseal store roles | psql --set ON_ERROR_STOP=1 postgres://OWNER@HOST/DATABASE
--
-- Running it again does no harm; do so after each upgrade of the tables. The roles cannot log in: grant them to the users of your machines, as
--     CREATE USER mx1 PASSWORD '...' IN ROLE postseal_service;
--
-- postseal_reader   looks up certificates. It gets no secret key, not even a sealed one: for verify and encrypt.
-- postseal_service  what `serve` and the verbs of `key` need: all rows, and no tables.
-- postseal_admin    makes and changes tables (`postseal store upgrade`).

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['postseal_reader', 'postseal_service', 'postseal_admin'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO postseal_admin', current_database());
END $$;

REVOKE ALL ON SCHEMA postseal FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA postseal FROM PUBLIC, postseal_reader, postseal_service;

GRANT USAGE ON SCHEMA postseal TO postseal_reader, postseal_service;
GRANT SELECT ON postseal.version, postseal.change, postseal.certificate, postseal.handle, postseal.address, postseal.capability,
    postseal.binding, postseal.statement, postseal.total, postseal.lost TO postseal_reader;

GRANT SELECT ON ALL TABLES IN SCHEMA postseal TO postseal_service;
GRANT INSERT, UPDATE, DELETE ON postseal.certificate, postseal.handle, postseal.address, postseal.secret, postseal.capability,
    postseal.binding, postseal.statement, postseal.master, postseal.total, postseal.lost, postseal.answer, postseal.asking,
    postseal.used, postseal.refreshed, postseal.pending, postseal.fetching, postseal.unfetched, postseal.renewal TO postseal_service;
GRANT UPDATE ON postseal.change TO postseal_service;

-- The tables belong to the administrator, so that later versions can change them.
GRANT USAGE, CREATE ON SCHEMA postseal TO postseal_admin;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'postseal' AND tableowner <> 'postseal_admin' LOOP
        EXECUTE format('ALTER TABLE postseal.%I OWNER TO postseal_admin', name);
    END LOOP;
    ALTER SCHEMA postseal OWNER TO postseal_admin;
    -- Who made the database makes its next tables too, and copies them for the backup.
    SELECT rolname INTO name FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE datname = current_database() AND NOT rolsuper;
    IF name IS NOT NULL AND name <> 'postseal_admin' THEN
        EXECUTE format('GRANT postseal_admin TO %I', name);
    END IF;
END $$;
