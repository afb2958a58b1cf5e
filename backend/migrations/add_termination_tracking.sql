-- Adds termination tracking to instances and replica_instances.
--
--   termination_attempted_at   when a termination was last reported, also a failed one
--   termination_confirmed      whether a report said that the instance is gone
--
-- and, as virtual columns, the second names that the guide's queries use:
-- instances.instance_id (the EC2 id in id) and replica_instances.instance_status (status).
--
-- Runs on MySQL 8 and MariaDB alike, and again without harm: each step looks in INFORMATION_SCHEMA
-- first, because ADD COLUMN IF NOT EXISTS exists only in MariaDB. No row is changed.
--
--   mysql -u root -p spot_optimizer_production < add_termination_tracking.sql

-- instances

SET @step = IF(
    (SELECT COUNT(*) FROM INFORMATION_SCHEMA.COLUMNS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'instances' AND COLUMN_NAME = 'termination_attempted_at') = 0,
    'ALTER TABLE instances ADD COLUMN termination_attempted_at TIMESTAMP(6) NULL DEFAULT NULL',
    'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

SET @step = IF(
    (SELECT COUNT(*) FROM INFORMATION_SCHEMA.COLUMNS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'instances' AND COLUMN_NAME = 'termination_confirmed') = 0,
    'ALTER TABLE instances ADD COLUMN termination_confirmed BOOLEAN NOT NULL DEFAULT 0',
    'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

SET @step = IF(
    (SELECT COUNT(*) FROM INFORMATION_SCHEMA.COLUMNS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'instances' AND COLUMN_NAME = 'instance_id') = 0,
    'ALTER TABLE instances ADD COLUMN instance_id VARCHAR(64) GENERATED ALWAYS AS (id) VIRTUAL',
    'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

SET @step = IF(
    (SELECT COUNT(*) FROM INFORMATION_SCHEMA.STATISTICS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'instances' AND INDEX_NAME = 'ix_instances_termination') = 0,
    'CREATE INDEX ix_instances_termination ON instances (instance_status, termination_attempted_at)',
    'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

-- replica_instances

SET @step = IF(
    (SELECT COUNT(*) FROM INFORMATION_SCHEMA.COLUMNS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'replica_instances' AND COLUMN_NAME = 'termination_attempted_at') = 0,
    'ALTER TABLE replica_instances ADD COLUMN termination_attempted_at TIMESTAMP(6) NULL DEFAULT NULL',
    'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

SET @step = IF(
    (SELECT COUNT(*) FROM INFORMATION_SCHEMA.COLUMNS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'replica_instances' AND COLUMN_NAME = 'termination_confirmed') = 0,
    'ALTER TABLE replica_instances ADD COLUMN termination_confirmed BOOLEAN NOT NULL DEFAULT 0',
    'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

SET @step = IF(
    (SELECT COUNT(*) FROM INFORMATION_SCHEMA.COLUMNS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'replica_instances' AND COLUMN_NAME = 'instance_status') = 0,
    'ALTER TABLE replica_instances ADD COLUMN instance_status VARCHAR(32) GENERATED ALWAYS AS (status) VIRTUAL',
    'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;

SET @step = IF(
    (SELECT COUNT(*) FROM INFORMATION_SCHEMA.STATISTICS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'replica_instances' AND INDEX_NAME = 'ix_replicas_termination') = 0,
    'CREATE INDEX ix_replicas_termination ON replica_instances (status, termination_confirmed)',
    'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
