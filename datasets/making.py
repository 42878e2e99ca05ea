"""A new dataset out of items that are already here."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from datasets.copying import items_copy
from datasets.drafts import ContentHash
from datasets.importing import clean_name
from datasets.models import Dataset, DatasetVersion, Item
from datasets.problems import ImportProblems
from datasets.publishing import version_figures
from datasets.removal import version_remove
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused


def dataset_from_items(
    access: Access,
    items: QuerySet[Item],
    source: DatasetVersion,
    *,
    name: str,
    description: str = "",
    origin: dict[str, Any] | None = None,
) -> DatasetVersion:
    """Copies items of one version into version 1 of a new dataset, by the database.

    Raises Refused for a bad or taken name, or without items; then nothing is kept.
    """
    version = _begin(access, source, name, description, origin or {})
    try:
        if not items_copy(items, version):
            raise Refused("There are no such items.")
        hashed = ContentHash()
        digests = Item.objects.filter(version=version).order_by("position").values_list("digest", flat=True)
        for digest in digests.iterator(chunk_size=5000):
            hashed.add(digest)
        DatasetVersion.objects.filter(pk=version.pk).update(
            ready_at=timezone.now(), content_hash=hashed.hex, **version_figures(version)
        )
        version.refresh_from_db()
    finally:
        if version.ready_at is None:
            version_remove(version)
    return version


def _begin(
    access: Access, source: DatasetVersion, name: str, description: str, origin: dict[str, Any]
) -> DatasetVersion:
    try:
        name = clean_name(name)
    except ImportProblems as error:
        raise Refused(f"{error.problems[0].reason.capitalize()}.") from error
    try:
        with transaction.atomic():
            like = source.dataset
            dataset = Dataset.objects.create(
                workspace=access.workspace, name=name, description=description, created_by=access.actor,
                licence=like.licence, source=like.source, language=like.language,
            )  # fmt: skip
            audit.record(access, "dataset.make", name, **origin)
            return DatasetVersion.objects.create(
                dataset=dataset, number=1, upload_type=source.upload_type, origin=origin,
                response_models=source.response_models, created_by=access.actor,
            )  # fmt: skip
    except IntegrityError as error:
        raise Refused(f"Another dataset of this workspace is called {name}.") from error
