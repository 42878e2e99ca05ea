"""A database without room, on both: real errors, as a full disk gives them."""

from django.db import connection

RAISES = """
CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON runs_trial EXECUTE FUNCTION disk_full();
CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON runs_attempt EXECUTE FUNCTION disk_full();
"""


def fill_disk() -> None:
    """No row more is written: on SQLite by this connection, whose file takes no page more."""
    with connection.cursor() as cursor:
        # A limit below what it has is no limit: it is what it has.
        cursor.execute("PRAGMA max_page_count = 1" if connection.vendor == "sqlite" else RAISES)


def make_room() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA max_page_count = 4294967294")
        else:
            cursor.execute("DROP FUNCTION IF EXISTS disk_full CASCADE")
