-- The schema before termination tracking. MySQL 8 and MariaDB; running it again changes nothing.
-- All times are UTC. backend/tables.py says the same in Python.

CREATE TABLE IF NOT EXISTS clients (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    token_hash VARCHAR(64) NOT NULL,
    is_active BOOLEAN NOT NULL DEFAULT 1,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    UNIQUE KEY uq_clients_token_hash (token_hash)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS agents (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    client_id VARCHAR(64) NOT NULL,
    region VARCHAR(32) NOT NULL,
    auto_terminate_enabled BOOLEAN NOT NULL DEFAULT 1,
    terminate_wait_seconds INTEGER NOT NULL DEFAULT 300,
    manual_replica_enabled BOOLEAN NOT NULL DEFAULT 0,
    last_cleanup_at DATETIME(6) NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    KEY ix_agents_client (client_id),
    FOREIGN KEY (client_id) REFERENCES clients (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS instances (
    id VARCHAR(64) NOT NULL PRIMARY KEY,            -- the EC2 id
    client_id VARCHAR(64) NOT NULL,
    agent_id VARCHAR(64) NOT NULL,
    region VARCHAR(32) NOT NULL,
    instance_type VARCHAR(32) NULL,
    az VARCHAR(32) NULL,
    instance_status VARCHAR(32) NOT NULL,           -- primary, zombie, terminated
    is_active BOOLEAN NOT NULL DEFAULT 1,
    marked_at DATETIME(6) NULL,                     -- since when it is a zombie
    terminated_at DATETIME(6) NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    KEY ix_instances_client_status (client_id, region, instance_status),
    KEY ix_instances_agent (agent_id),
    FOREIGN KEY (client_id) REFERENCES clients (id),
    FOREIGN KEY (agent_id) REFERENCES agents (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS replica_instances (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    agent_id VARCHAR(64) NOT NULL,
    instance_id VARCHAR(64) NOT NULL,               -- the EC2 id
    instance_type VARCHAR(32) NULL,
    az VARCHAR(32) NULL,
    status VARCHAR(32) NOT NULL,                    -- launching, ready, promoted, terminated
    marked_at DATETIME(6) NULL,                     -- since when it is meant to be gone
    terminated_at DATETIME(6) NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    UNIQUE KEY uq_replicas_agent_instance (agent_id, instance_id),
    KEY ix_replicas_instance (instance_id),
    KEY ix_replicas_agent_status (agent_id, status),
    FOREIGN KEY (agent_id) REFERENCES agents (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The two records of what happened have no foreign keys: they outlive what they tell of.
CREATE TABLE IF NOT EXISTS system_events (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    event_type VARCHAR(64) NOT NULL,
    severity VARCHAR(16) NOT NULL,
    client_id VARCHAR(64) NULL,
    agent_id VARCHAR(64) NULL,
    instance_id VARCHAR(64) NULL,
    message TEXT NOT NULL,
    details JSON NULL,
    metadata JSON NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    KEY ix_events_type_time (event_type, created_at),
    KEY ix_events_agent (agent_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS cleanup_logs (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    client_id VARCHAR(64) NOT NULL,
    agent_id VARCHAR(64) NOT NULL,
    reported_at DATETIME(6) NOT NULL,
    snapshots_deleted INTEGER NOT NULL,
    snapshots_failed INTEGER NOT NULL,
    snapshots_cutoff_date DATETIME(6) NULL,
    amis_deleted INTEGER NOT NULL,
    ami_snapshots_deleted INTEGER NOT NULL,
    amis_failed INTEGER NOT NULL,
    amis_cutoff_date DATETIME(6) NULL,
    details JSON NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    KEY ix_cleanup_logs_agent (agent_id, created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
