"""The database's clock in milliseconds since the epoch, as SQL: leases compare with no other."""

from django.db import connection

SQL = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
}

TIMESTAMP = {"sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')", "postgresql": "clock_timestamp()"}

AGO = {
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', (-({ms}) / 1000.0) || ' seconds')",
    "postgresql": "clock_timestamp() - ({ms}) * interval '1 millisecond'",
}


def now_sql() -> str:
    """A timestamp by the database's clock, for a statement that has parameters."""
    return TIMESTAMP[connection.vendor]


def ago_sql(ms: str) -> str:
    """The moment before now by as many milliseconds as the expression `ms` says; NULL for NULL."""
    return AGO[connection.vendor].format(ms=ms)


def now_ms_sql() -> str:
    return SQL[connection.vendor]


def now_ms() -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now_ms_sql()}")
        return int(cursor.fetchone()[0])
