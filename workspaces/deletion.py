"""Deleting a workspace with everything that belongs to it, whatever apps there are.

Django's own cascade would load 100,000 trials and stop at protected relations. Here the rows go by
one DELETE per table, children first. What belongs to a workspace is read from the models: a table
with a foreign key towards it that is not merely emptied (SET_NULL). So a new app needs no line here.
"""

import shutil
from collections.abc import Iterator
from functools import cache, partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import SET_NULL, ForeignKey, Model

from workspaces.models import Workspace

Table = type[Model]
Link = ForeignKey[Any, Any]


def workspace_wipe(workspace: Workspace) -> dict[str, int]:
    """Deletes all of it inside the caller's transaction; how many rows of each table went."""
    paths = paths_to_workspace()
    lock_from_above(workspace.pk)
    for table, link in links_between(only_emptied=True):
        if (target := parent_of(link)) in paths:
            condition = {joined(link.name, paths[target]): workspace.pk}
            table._base_manager.filter(**condition).update(**{link.name: None})
    removed = {
        table._meta.label: delete_rows(table, paths[table], workspace.pk) for table in children_first()
    }
    transaction.on_commit(partial(remove_files, workspace.pk))
    return {label: count for label, count in removed.items() if count}


def lock_from_above(workspace_id: int) -> None:
    """The workspace, then what belongs to it directly. Whoever writes below these rows, such as a
    run's worker, locks them first too: it waits, then finds nothing, and neither deadlocks."""
    for table, path in paths_to_workspace().items():  # the workspace itself comes first
        if "__" not in path:
            rows = table._base_manager.select_for_update().filter(**{path or "pk": workspace_id})
            list(rows.order_by("pk").values_list("pk", flat=True))


def delete_rows(table: Table, path: str, workspace_id: int) -> int:
    rows = table._base_manager.filter(**{path or "pk": workspace_id})
    return int(rows._raw_delete(rows.db) or 0)


def remove_files(workspace_id: int) -> None:
    """Every app keeps a workspace's files under `<media>/<kind>/<workspace id>/`."""
    for folder in Path(settings.MEDIA_ROOT).glob(f"*/{int(workspace_id)}"):
        shutil.rmtree(folder, ignore_errors=True)


def links_between(*, only_emptied: bool) -> Iterator[tuple[Table, Link]]:
    """Every foreign key of every table: those that are emptied with their target, or all others."""
    for table in apps.get_models(include_auto_created=True):
        for field in table._meta.local_fields:
            if isinstance(field, ForeignKey) and (field.remote_field.on_delete is SET_NULL) == only_emptied:
                yield table, field


def parent_of(link: Link) -> Table:
    parent: Table = link.remote_field.model
    return parent


def joined(name: str, path: str) -> str:
    return f"{name}__{path}" if path else name


@cache
def paths_to_workspace() -> dict[Table, str]:
    """Tables that belong to a workspace, each with its shortest lookup to it (`run__workspace`)."""
    paths: dict[Table, str] = {Workspace: ""}
    frontier: list[Table] = [Workspace]
    while frontier:
        reached: dict[Table, str] = {}
        for table, link in links_between(only_emptied=False):
            if parent_of(link) in frontier and table not in paths:
                reached.setdefault(table, joined(link.name, paths[parent_of(link)]))
        paths |= reached
        frontier = list(reached)
    return paths


@cache
def children_first() -> tuple[Table, ...]:
    paths = paths_to_workspace()
    order: TopologicalSorter[Table] = TopologicalSorter(dict.fromkeys(paths, ()))
    for table, link in links_between(only_emptied=False):
        parent = parent_of(link)
        if table in paths and parent in paths and table is not parent:
            order.add(parent, table)
    return tuple(order.static_order())
