"""Who an item is from version to version, and whether it changed."""

import hashlib

from django.db import connection

from datasets.models import DatasetVersion

TELL_APART = """
    UPDATE datasets_item SET key = MD5(datasets_item.key || '~' || met.place)
    FROM (
        SELECT id, ROW_NUMBER() OVER (PARTITION BY key ORDER BY position) AS place
        FROM datasets_item WHERE version_id = %s
    ) AS met
    WHERE met.id = datasets_item.id AND met.place > 1
"""


def key_of(external_id: str, prompt: str) -> str:
    """The same item in every version: by its id, without one by what is asked."""
    who = f"#{external_id}" if external_id else f"?{prompt}"
    return hashlib.md5(who.encode(), usedforsecurity=False).hexdigest()


def keys_tell_apart(version: DatasetVersion) -> None:
    """Gives the second and later items of one key a key of their own: the n-th meets the n-th elsewhere."""
    with connection.cursor() as cursor:
        cursor.execute(TELL_APART, [version.pk])
