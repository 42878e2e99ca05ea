"""Pages of datasets."""

from datasets.views.browse import asset, dataset_list, detail, download
from datasets.views.change import dataset_delete, rename, version_delete
from datasets.views.upload import cancel, map_and_check, name_hint, progress, report, upload

__all__ = [
    "asset",
    "cancel",
    "dataset_delete",
    "dataset_list",
    "detail",
    "download",
    "map_and_check",
    "name_hint",
    "progress",
    "rename",
    "report",
    "upload",
    "version_delete",
]
