"""Images on disk: stored once under their hash, removed when no item shows them any more."""

import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from django.db import transaction

from datasets.images import CheckedImage, check_image
from datasets.models import Asset
from workspaces.models import Workspace


def asset_store(workspace: Workspace, data: bytes) -> Asset:
    """Checks the bytes and stores them. Raises images.BadImage."""
    return image_store(workspace, check_image(data))


def image_store(workspace: Workspace, image: CheckedImage) -> Asset:
    """The asset of a checked image. The file is written in the transaction: row and file appear together."""
    with transaction.atomic():
        asset, _ = Asset.objects.get_or_create(
            workspace=workspace, sha256=image.sha256,
            defaults={
                "media_type": image.media_type, "size_bytes": len(image.data),
                "width_px": image.width_px, "height_px": image.height_px,
            },
        )  # fmt: skip
        if not asset.path.exists():
            _write(asset.path, image.data)
    return asset


def _write(path: Path, data: bytes) -> None:
    """Never a half-written file under the final name."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)


def asset_bytes(asset: Asset) -> bytes:
    """The image. Raises FileNotFoundError if the media folder lost it."""
    return asset.path.read_bytes()


def unused_remove(asset_ids: Iterable[int]) -> int:
    """Removes those of the assets that no item shows, with their files; returns how many."""
    removed = 0
    for asset in Asset.objects.filter(pk__in=set(asset_ids), item_assets=None):
        with transaction.atomic():
            deleted, _ = Asset.objects.filter(pk=asset.pk, item_assets=None).delete()
            if deleted:
                transaction.on_commit(partial(_unlink_orphan, asset))
                removed += 1
    return removed


def _unlink_orphan(asset: Asset) -> None:
    """After the commit, since a rollback would not bring the file back."""
    if not Asset.objects.filter(workspace_id=asset.workspace_id, sha256=asset.sha256).exists():
        asset.path.unlink(missing_ok=True)
