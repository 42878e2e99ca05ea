"""What people command on datasets. Importing itself is in `datasets.importing`."""

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from datasets.importing import ImportResult, clean_name, version_import
from datasets.models import Dataset, DatasetVersion, Draft
from datasets.problems import ImportProblems, RowProblem
from datasets.removal import users_of, version_remove
from datasets.tasks import version_remove_later
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused

__all__ = [
    "CARD_FIELDS",
    "ImportProblems",
    "ImportResult",
    "InUse",
    "RowProblem",
    "clean_name",
    "dataset_delete",
    "dataset_rename",
    "version_delete",
    "version_import",
]
CARD_FIELDS = {"description", "licence", "source", "language"}
INLINE_ITEMS = 20_000  # more than this is removed by a worker


class InUse(Refused):
    """Something still needs it; the message says what and what to do."""


def dataset_rename(access: Access, dataset: Dataset, *, name: str, **card: str) -> Dataset:
    """Also what its card says: `description`, `licence`, `source`, `language`, each unchanged if left out.

    Raises ValidationError (on `name`) for an empty, long or taken name, or on a field that is too long.
    """
    before = dataset.name
    try:
        dataset.name = clean_name(name)
    except ImportProblems as error:
        raise ValidationError({"name": error.problems[0].reason}) from error
    for field in CARD_FIELDS & card.keys():
        setattr(dataset, field, card[field].replace("\0", "").strip())
    dataset.clean_fields(exclude=["workspace", "created_by", "created_at"])
    try:
        with transaction.atomic():
            dataset.save(update_fields=["name", *sorted(CARD_FIELDS)])
            audit.record(access, "dataset.rename", dataset.name, before=before)
    except IntegrityError as error:
        dataset.name = before
        raise ValidationError({"name": "another dataset of this workspace has that name"}) from error
    return dataset


def version_delete(access: Access, version: DatasetVersion) -> None:
    """Hides the version at once and removes its items. Raises InUse while runs need it."""
    with transaction.atomic():
        _hide(version)
        audit.record(
            access, "version.delete", f"{version.dataset.name} v{version.number}", items=version.item_count
        )
    _remove(version)


def dataset_delete(access: Access, dataset: Dataset) -> None:
    """All versions of a dataset, or none. Raises InUse while runs need one."""
    with transaction.atomic():
        Draft.objects.filter(dataset=dataset).delete()
        versions = list(dataset.versions.select_for_update())
        for version in versions:
            version.dataset = dataset
            _hide(version)
        audit.record(access, "dataset.delete", dataset.name, versions=len(versions))
        if not versions:
            dataset.delete()
    for version in versions:
        _remove(version)


def _hide(version: DatasetVersion) -> None:
    DatasetVersion.objects.select_for_update().get(pk=version.pk)  # waits for launches that are under way
    users = users_of(version)
    if users:
        name = f"Version {version.number} of {version.dataset.name}"
        raise InUse(f"{name} cannot be deleted: it is used by {' and '.join(users)}. Delete that first.")
    DatasetVersion.objects.filter(pk=version.pk).update(ready_at=None)


def _remove(version: DatasetVersion) -> None:
    if version.item_count > INLINE_ITEMS:
        version_remove_later.delay_on_commit(version.pk)
        return
    try:
        version_remove(version)
    except ProtectedError as error:
        DatasetVersion.objects.filter(pk=version.pk).update(ready_at=version.ready_at)
        raise InUse("A run was launched on it just now; delete that run first.") from error
