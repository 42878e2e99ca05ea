"""Prepared databases: made once, then copied for every measurement, so that each starts on the same rows."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis
from cryptography.fernet import Fernet

from bench.endpoint import Endpoint
from tests.services import ROOT, Postgres, Redis, environment

SQLITE_FILE = "evalportal.sqlite3"
REDIS_DATABASES = 16
SETTINGS_SHOWN = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


def scenario(env: dict[str, str], *arguments: str) -> dict[str, Any]:
    """The answer of a verb of bench.scenario inside that portal."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.scenario", *arguments],
        cwd=ROOT, env=environment(env), capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"bench.scenario {arguments}\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


@dataclass
class Prepared:
    """One measurement's own database, and what a launch in it needs."""

    env: dict[str, str]
    ids: dict[str, Any]
    folder: Path
    connection: Any = None

    @property
    def is_postgres(self) -> bool:
        return bool(self.env["DATABASE_URL"])

    def query(self, sql: str, *values: Any) -> list[Any]:
        """Rows of a SELECT with %s for values."""
        if self.connection is None:
            if self.is_postgres:
                self.connection = psycopg.connect(self.env["DATABASE_URL"], autocommit=True)
            else:
                self.connection = sqlite3.connect(self.folder / SQLITE_FILE, timeout=30, isolation_level=None)
        return list(self.connection.execute(sql if self.is_postgres else sql.replace("%s", "?"), values))

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


@dataclass
class Stores:
    """The servers of a bench and its templates by (database, items)."""

    folder: Path
    endpoint: Endpoint
    narrow: int = 64  # calls at once that the narrow provider allows
    postgres: Postgres | None = None
    redis: Redis | None = None
    templates: dict[tuple[str, int], Prepared] = field(default_factory=dict)
    copies: int = 0

    def __post_init__(self) -> None:
        self.secrets = {
            "EVALPORTAL_SECRET_KEY": "bench" * 10,
            "EVALPORTAL_FIELD_KEYS": Fernet.generate_key().decode(),
            "EVALPORTAL_OUTBOUND_ALLOW": "127.0.0.1/32",
            "EVALPORTAL_LOG_LEVEL": "WARNING",
        }

    def env(self, database: str, name: str) -> dict[str, str]:
        folder = self.folder / name
        folder.mkdir(parents=True)
        env = self.secrets | {"EVALPORTAL_DATA": str(folder), "DATABASE_URL": "", "REDIS_URL": ""}
        if database == "postgres":
            assert self.postgres and self.redis, "PostgreSQL and Redis are not running"
            number = self.copies % REDIS_DATABASES  # portals that live side by side share no queue
            env |= {
                "DATABASE_URL": self.postgres.url(name),
                "REDIS_URL": f"{self.redis.url.removesuffix('/0')}/{number}",
            }
            with redis.Redis.from_url(env["REDIS_URL"]) as client:
                client.flushdb()
        return env

    def template(self, database: str, items: int) -> Prepared:
        key = (database, items)
        if key not in self.templates:
            name = f"template_{database}_{items}"
            env = self.env(database, name)
            if database == "postgres":
                self.execute(f'CREATE DATABASE "{name}"')
            ids = scenario(env, "prepare", self.endpoint.base_url, str(items), str(self.narrow))
            if database == "postgres":
                with psycopg.connect(env["DATABASE_URL"], autocommit=True) as connection:
                    connection.execute("VACUUM ANALYZE")
            self.templates[key] = Prepared(env, ids, self.folder / name)
        return self.templates[key]

    def copy(self, database: str, items: int) -> Prepared:
        """A database of its own with `items` items ready to be launched."""
        template = self.template(database, items)
        self.copies += 1
        name = f"copy_{self.copies}"
        prepared = Prepared(self.env(database, name), template.ids, self.folder / name)
        if database == "postgres":
            self.execute(f'CREATE DATABASE "{name}" TEMPLATE "template_{database}_{items}"')
        else:
            shutil.copy(template.folder / SQLITE_FILE, prepared.folder)
        return prepared

    def drop(self, prepared: Prepared) -> None:
        prepared.close()
        if prepared.is_postgres:
            self.execute(f'DROP DATABASE IF EXISTS "{prepared.folder.name}" WITH (FORCE)')
        shutil.rmtree(prepared.folder, ignore_errors=True)

    def execute(self, sql: str) -> list[Any]:
        assert self.postgres
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def server_pids(self) -> dict[str, int]:
        """By name, the servers' first processes."""
        servers = {"postgres": self.postgres, "redis": self.redis}
        return {name: server.server.pid for name, server in servers.items() if server}

    def postgres_settings(self) -> str:
        if not self.postgres:
            return ""
        values = [f"{name}={self.execute(f'SHOW {name}')[0][0]}" for name in SETTINGS_SHOWN]
        return "PostgreSQL: " + ", ".join(values)


@contextmanager
def stores(folder: Path, endpoint: Endpoint, *, servers: bool, narrow: int = 64) -> Iterator[Stores]:
    """Starts PostgreSQL and Redis if `servers`; everything is gone at the end."""
    os.environ.pop("DATABASE_URL", None)
    made = Stores(folder, endpoint, narrow)
    if not servers:
        yield made
        return
    with Postgres(max_connections=1_200) as postgres, Redis() as broker:
        made.postgres, made.redis = postgres, broker
        yield made
