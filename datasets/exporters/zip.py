"""A zip with `items.jsonl` and the images that it names under `assets/`, lossless."""

import zipfile
from collections.abc import Iterator
from typing import IO, ClassVar, cast

from datasets.assets import asset_bytes
from datasets.exporters.jsonl import json_lines
from datasets.exporters.sink import Sink
from datasets.models import Asset, DatasetVersion

ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
ASSETS_AT_ONCE = 500


class ZipExport:
    title: ClassVar[str] = "zip with images"
    content_type: ClassVar[str] = "application/zip"

    def parts(self, version: DatasetVersion) -> Iterator[bytes]:
        sink = Sink()
        with zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("items.jsonl", "w", force_zip64=True) as rows:
                for line in json_lines(version, path_of):
                    rows.write(line.encode())
                    yield sink.taken()
            for asset in _assets(version):
                archive.writestr(path_of(asset), asset_bytes(asset), zipfile.ZIP_STORED)
                yield sink.taken()
        yield sink.taken()


def path_of(asset: Asset) -> str:
    return f"assets/{asset.sha256}.{ENDINGS[asset.media_type]}"


def _assets(version: DatasetVersion) -> Iterator[Asset]:
    """Each image once, by keyset."""
    last = 0
    while True:
        shown = Asset.objects.filter(item_assets__item__version=version, pk__gt=last)
        found = list(shown.distinct().order_by("pk")[:ASSETS_AT_ONCE])
        yield from found
        if len(found) < ASSETS_AT_ONCE:
            return
        last = found[-1].pk
