"""Items copied by the database from one version to another, with their images, in short transactions."""

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from datasets.models import DatasetVersion, Item

CHUNK = 20_000
KEPT_APART = ("id", "version", "position")


def copied_columns() -> str:
    """Every column of an item but those that place it."""
    quote = connection.ops.quote_name
    names = [str(field.column) for field in Item._meta.concrete_fields if field.name not in KEPT_APART]
    return ", ".join(quote(name) for name in names)


def items_copy(source: QuerySet[Item], target: DatasetVersion) -> int:
    """Appends items of one version to a hidden one in their order; returns how many.

    A call that was cut off may be made again if the source gives the same items: it goes on where it ended.
    """
    placed = target.items.aggregate(last=Max("position"))["last"] or 0
    items = source.order_by("position")
    done = items.values_list("position", flat=True)[placed - 1 : placed].first() or 0 if placed else 0
    while bounds := items.filter(position__gt=done).values_list("position", flat=True)[:CHUNK]:
        last = bounds[len(bounds) - 1]
        with transaction.atomic():
            placed += _copy_chunk(items.filter(position__gt=done, position__lte=last), target, placed)
        done = last
    return placed


def _copy_chunk(source: QuerySet[Item], target: DatasetVersion, start: int) -> int:
    chosen, params = source.order_by().values("pk").query.sql_with_params()
    columns = copied_columns()
    placed = f"""(
            SELECT id, {start:d} + ROW_NUMBER() OVER (ORDER BY position) AS place
            FROM datasets_item WHERE id IN ({chosen})
        ) AS placed"""  # noqa: S608 (numbers, and SQL that Django wrote)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO datasets_item (version_id, position, {columns})
            SELECT {target.pk:d}, placed.place, {columns}
            FROM {placed} JOIN datasets_item USING (id) ORDER BY placed.place
            """,  # noqa: S608
            params,
        )
        copied = cursor.rowcount
        cursor.execute(
            f"""
            INSERT INTO datasets_itemasset (item_id, asset_id, position, label)
            SELECT made.id, shown.asset_id, shown.position, shown.label
            FROM {placed}
            JOIN datasets_itemasset AS shown ON shown.item_id = placed.id
            JOIN datasets_item AS made ON made.version_id = {target.pk:d} AND made.position = placed.place
            """,  # noqa: S608
            params,
        )
    return int(copied)
