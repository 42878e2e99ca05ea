"""Pages of datasets."""

from datasets.views.browse import asset, dataset_list, detail, download
from datasets.views.card import card
from datasets.views.change import dataset_delete, rename, version_delete
from datasets.views.draft import (
    draft,
    draft_begin,
    draft_bulk,
    draft_discard,
    draft_item,
    draft_publish,
    draft_restore,
)
from datasets.views.subsets import subset_delete, subsets
from datasets.views.upload import cancel, map_and_check, name_hint, progress, report, upload
from datasets.views.versions import diff

__all__ = [
    "asset",
    "cancel",
    "card",
    "dataset_delete",
    "dataset_list",
    "detail",
    "diff",
    "download",
    "draft",
    "draft_begin",
    "draft_bulk",
    "draft_discard",
    "draft_item",
    "draft_publish",
    "draft_restore",
    "map_and_check",
    "name_hint",
    "progress",
    "rename",
    "report",
    "subset_delete",
    "subsets",
    "upload",
    "version_delete",
]
