"""Gives the items of earlier versions a key and a digest, as `datasets.drafts` computes them."""

import hashlib
import json

from django.db import migrations

ROWS = 2000
FIELDS = (
    "id", "external_id", "section", "prompt", "messages", "choices", "references", "responses", "metadata",
)  # fmt: skip


def identify(apps, schema_editor):
    items = apps.get_model("datasets", "Item").objects
    links = apps.get_model("datasets", "ItemAsset").objects
    last = 0
    while rows := list(items.filter(pk__gt=last).order_by("pk").values(*FIELDS)[:ROWS]):
        last = rows[-1]["id"]
        images = {}
        shown = links.filter(item__gte=rows[0]["id"], item__lte=last).order_by("item_id", "position")
        for item_id, sha256 in shown.values_list("item_id", "asset__sha256"):
            images.setdefault(item_id, []).append(sha256)
        found = [(key_of(row), digest_of(row, images.get(row["id"], [])), row["id"]) for row in rows]
        with schema_editor.connection.cursor() as cursor:
            cursor.executemany("UPDATE datasets_item SET key = %s, digest = %s WHERE id = %s", found)
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(TELL_APART)


def key_of(row):
    who = f"#{row['external_id']}" if row["external_id"] else f"?{row['prompt']}"
    return hashlib.md5(who.encode(), usedforsecurity=False).hexdigest()


def digest_of(row, images):
    held = {name: row[name] for name in FIELDS[2:]} | {"id": row["external_id"], "assets": images}
    plain = json.dumps(held, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


TELL_APART = """
    UPDATE datasets_item SET key = MD5(datasets_item.key || '~' || met.place)
    FROM (
        SELECT id, ROW_NUMBER() OVER (PARTITION BY version_id, key ORDER BY position) AS place
        FROM datasets_item
    ) AS met
    WHERE met.id = datasets_item.id AND met.place > 1
"""


class Migration(migrations.Migration):
    dependencies = [("datasets", "0004_drafts_subsets_cards")]
    operations = [migrations.RunPython(identify, migrations.RunPython.noop, elidable=True)]
