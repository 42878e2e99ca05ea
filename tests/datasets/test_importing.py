"""Files become frozen versions, all or nothing."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from datasets import importing, selectors
from datasets.drafts import ContentHash, draft_of
from datasets.importers import Record
from datasets.mapping import Mapping, guess_mapping
from datasets.models import Asset, Dataset, DatasetVersion, Item, UploadType
from datasets.services import (
    ImportProblems,
    InUse,
    dataset_delete,
    dataset_rename,
    version_delete,
    version_import,
)
from runs.models import Evaluation, Run
from tests.conftest import SHARED
from tests.datasets.conftest import Import
from tests.datasets.files import QUESTIONS, data_url, jsonl, mapping_of, png, rows_in
from workspaces.access import Access
from workspaces.models import AuditEvent


def test_a_file_becomes_a_version(imported: Import, editing: Access) -> None:
    result = imported(QUESTIONS, access=editing, note=" first ")
    version = result.version
    assert result.created
    assert (version.number, version.item_count, version.upload_type) == (1, 3, UploadType.QUERY_RESPONSE)
    assert version.sections == [{"name": "sums", "items": 2}, {"name": "words", "items": 1}]
    assert version.response_models == ["m1", "m2"]
    assert (version.note, version.source_name) == ("first", "file.jsonl")
    assert version.created_by == editing.user
    assert version.ready_at
    first, second, third = version.items.order_by("position")
    assert (first.external_id, first.prompt, first.references) == ("q1", "1 + 1?", ["2"])
    assert first.responses == {"m1": "2", "m2": "3"}
    assert second.responses == {"m1": "4"}
    assert third.references == ["Athens", "Αθήνα"]
    event = AuditEvent.objects.get(action="dataset.import")
    assert (event.target, event.actor, event.detail["items"]) == ("Questions v1", editing.user, 3)


def test_the_same_content_is_the_same_version(imported: Import) -> None:
    first = imported(QUESTIONS)
    again = imported(QUESTIONS, name="other.jsonl")
    assert (again.version, again.created) == (first.version, False)
    assert DatasetVersion.objects.count() == 1
    assert imported(QUESTIONS, dataset_name="Another").created


def test_other_content_is_the_next_version(imported: Import) -> None:
    assert imported(QUESTIONS).version.number == 1
    changed = imported(QUESTIONS[:2])
    assert (changed.version.number, changed.created) == (2, True)
    assert imported(QUESTIONS).version.number == 1


def refused(imported: Import, content: Any, **values: Any) -> list[str]:
    with pytest.raises(ImportProblems) as caught:
        imported(content, **values)
    assert not DatasetVersion.objects.exists()
    assert not Dataset.objects.exists()
    assert not Item.objects.exists()
    return [str(problem) for problem in caught.value.problems]


def test_one_bad_line_keeps_everything_out(imported: Import) -> None:
    rows = jsonl([*QUESTIONS, {"id": "q1", "question": ""}]) + b"{oops\n"
    mapping = mapping_of("question=prompt", "id=id", "section=section", "answer=reference")
    assert refused(imported, rows, mapping=mapping) == [
        "line 4, question: the prompt is empty",
        "line 4, id: the id 'q1' is already on line 1",
        "line 5: not valid JSON: expecting property name enclosed in double quotes at column 2",
    ]


def test_problems_are_counted_past_those_that_are_kept(imported: Import) -> None:
    with pytest.raises(ImportProblems) as caught:
        imported(jsonl([{"question": "a"}]) + b"[]\n" * 1500)
    assert (len(caught.value.problems), caught.value.total) == (1000, 1500)


def test_faults_of_the_whole_file(imported: Import) -> None:
    assert refused(imported, b"", mapping=mapping_of("q=prompt")) == ["file: the file holds no rows"]
    wrong = mapping_of("question=prompt", "anwser=reference")
    assert refused(imported, QUESTIONS, mapping=wrong) == ["file, anwser: no line has this field"]
    assert "no field is the prompt" in refused(imported, QUESTIONS, mapping=Mapping())[0]
    assert refused(imported, QUESTIONS, dataset_name=" ") == ["file: the dataset's name is empty"]


def test_too_many_sections_are_doubted(imported: Import) -> None:
    rows = [{"q": "a", "s": str(number)} for number in range(1002)]
    found = refused(imported, rows, mapping=mapping_of("q=prompt", "s=section"))
    assert found == ["file, s: more than 1,000 different sections; is this one?"]


def test_a_failure_half_way_removes_what_was_written(
    imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_ITEMS", 1)
    rows = [{"question": "a", "image": data_url(png())}, {"question": "b", "image": data_url(png(9))}]

    def stop(done: int, total: int) -> None:
        if Item.objects.count() == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(rows, on_progress=stop)
    for model in (Dataset, DatasetVersion, Item, Asset):
        assert not model.objects.exists()


def test_progress_runs_to_the_end(imported: Import) -> None:
    seen: list[tuple[int, int]] = []
    imported(QUESTIONS, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] == 2 * len(jsonl(QUESTIONS))


@pytest.mark.django_db(transaction=True)
def test_images_are_stored_once_and_go_with_their_last_item(imported: Import, held: Access) -> None:
    rows = [
        {"question": "a", "image": [data_url(png()), data_url(png(9))]},
        {"question": "b", "image": data_url(png())},
    ]
    first = imported(rows).version
    second = imported(rows[:1], dataset_name="Other").version
    paths = [asset.path for asset in Asset.objects.all()]
    assert len(paths) == 2
    assert all(path.exists() and path.is_relative_to(settings.MEDIA_ROOT) for path in paths)
    version_delete(held, first)
    assert all(path.exists() for path in paths)
    version_delete(held, second)
    assert not Asset.objects.exists()
    assert not any(path.exists() for path in paths)


def test_hidden_versions_are_never_seen(imported: Import, alpha: Any) -> None:
    version = imported(QUESTIONS).version
    DatasetVersion.objects.filter(pk=version.pk).update(ready_at=None)
    assert not selectors.ready_versions(alpha).exists()
    assert not selectors.datasets_of(alpha).exists()


def test_deleting_the_last_version_deletes_the_dataset(imported: Import, held: Access) -> None:
    version = imported(QUESTIONS).version
    version_delete(held, version)
    assert not Dataset.objects.exists()
    assert AuditEvent.objects.filter(action="version.delete", target="Questions v1").exists()


def test_a_version_that_runs_use_stays(imported: Import, held: Access) -> None:
    version = imported(QUESTIONS).version
    evaluation = Evaluation.objects.create(workspace=held.workspace, name="e")
    Run.objects.create(workspace=held.workspace, evaluation=evaluation, dataset_version=version, alias="a")
    for delete in (lambda: version_delete(held, version), lambda: dataset_delete(held, version.dataset)):
        with pytest.raises(InUse, match="1 run"):
            delete()
    version.refresh_from_db()
    assert version.ready_at
    assert version.items.count() == 3


def test_a_dataset_is_renamed_but_not_to_a_taken_name(imported: Import, held: Access) -> None:
    dataset = imported(QUESTIONS).version.dataset
    imported(QUESTIONS, dataset_name="Taken")
    assert dataset_rename(held, dataset, name="  New   name ", description="x").name == "New name"
    for name in ("Taken", "", "x" * 121):
        with pytest.raises(ValidationError):
            dataset_rename(held, dataset, name=name)
    dataset.refresh_from_db()
    assert dataset.name == "New name"


texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00\r"), max_size=20)
filled = texts.filter(str.strip)
tables = st.lists(
    st.fixed_dictionaries({"question": filled, "answer": texts, "topic": texts, "m.note": texts}),
    min_size=1,
    max_size=6,
)


def content_hash(rows: list[Any], mapping: Mapping) -> str:
    hashed = ContentHash()
    for row in rows:
        assert isinstance(row, Record)
        draft, problems = draft_of(row.line, row.values, mapping)
        assert not problems
        hashed.add(draft.digest)
    return hashed.hex


@limits(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables)
def test_the_same_data_has_the_same_hash_as_csv_and_as_jsonl(table: list[dict[str, str]]) -> None:
    mapping = mapping_of("question=prompt", "answer=reference", "topic=section", "m.note=metadata")
    out = io.StringIO()
    writer = csv.DictWriter(out, ["question", "answer", "topic", "m.note"], delimiter="\t")
    writer.writeheader()
    writer.writerows(table)
    nested = [
        {key: value for key, value in row.items() if value and key != "m.note"}
        | {"m": {"note": row["m.note"] or None}}
        for row in table
    ]
    as_csv = rows_in(out.getvalue().encode(), "x.csv")
    assert content_hash(as_csv, mapping) == content_hash(rows_in(jsonl(nested), "x.jsonl"), mapping)


def test_the_hash_knows_nothing_of_file_name_and_mapping(imported: Import) -> None:
    first = imported([{"q": "a", "x": 1}], mapping=mapping_of("q=prompt", "x=skip"))
    other = imported(b"prompt,note\na,zzz\n", name="b.csv", mapping=mapping_of("prompt=prompt", "note=skip"))
    assert other.version == first.version


@pytest.mark.shared
def test_gsm8k(held: Access) -> None:
    path = Path(SHARED) / "data" / "gsm8k" / "example_model_solutions.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()[:50]]
    result = version_import(
        held, path=path, source_name=path.name, dataset_name="GSM8K", mapping=guess_mapping(records)
    )
    assert result.version.item_count == 1319
    assert result.version.response_models == [
        "6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"
    ]  # fmt: skip
    item = result.version.items.get(position=3)
    assert item.references[0].endswith("A: 70000")
    assert item.responses["175b_verification"].endswith("A: 65000")
    assert item.metadata["6b_finetuning"] == {"is_correct": False}
