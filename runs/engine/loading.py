"""What is to be done for claimed trials: the item's content, the chat to send, what was recorded for it."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from datasets.assets import asset_bytes
from datasets.models import Item, ItemAsset
from judges.scorers import Subject, Verdict
from judges.scorers.semantic import Semantic, settled
from runs.engine.asking import Question, cache_key, input_tokens, question
from runs.engine.judging import Judge
from runs.engine.leases import Claimed
from runs.engine.plan import Answer, Plan, Work
from runs.engine.reading import judge_question
from runs.engine.rowset import among
from runs.models import HandAnswer, Trial, TrialState
from runs.selectors_variants import paraphrases_of


def load_work(plan: Plan, claimed: Sequence[Claimed]) -> list[Work]:
    """The items of claimed trials, in order; two queries, and the image files a seeing model is sent."""
    ids = {trial.item_id for trial in claimed}
    fields = ["pk", "prompt", "messages", "choices", "references", "external_id", "metadata"]
    if not plan.calls:
        fields.append("responses")
    items = {row["pk"]: row for row in Item.objects.filter(pk__in=among(ids)).values(*fields)}
    images = _images(ids) if plan.sees_images and plan.calls else {}
    if plan.by_hand:
        answers = HandAnswer.objects.filter(trial_id__in=among([trial.id for trial in claimed]))
        given = dict(answers.values_list("trial_id", "text"))
        return [_answered(trial, items[trial.item_id], given.get(trial.id)) for trial in claimed]
    approved = paraphrases_of(ids) if plan.variants.reads_paraphrases else {}
    rows = {
        trial.id: plan.variants.asked(items[trial.item_id], trial.epoch, approved.get(trial.item_id))
        for trial in claimed
    }
    if plan.judge and plan.judge.semantic:
        return _semantic_work(plan, plan.judge.semantic, claimed, rows)
    if plan.judge:
        return _judge_work(plan, plan.judge, claimed, rows, images)
    return [_work(plan, trial, rows[trial.id], images.get(trial.item_id, ())) for trial in claimed]


def _judge_work(
    plan: Plan,
    judge: Judge,
    claimed: Sequence[Claimed],
    asked_rows: Mapping[int, Mapping[str, Any]],
    images: Mapping[int, list[tuple[str, str]]],
) -> list[Work]:
    """What a judge is asked about the responses, each beside its item as it was asked, by trial; a query for
    them, and one for the opponent's."""
    ids = [trial.judged for trial in claimed if trial.judged]
    rows = Trial.objects.filter(pk__in=among(ids)).order_by().values_list("pk", "epoch", "response")
    responses = {pk: (epoch, response) for pk, epoch, response in rows}
    items = {trial.item_id for trial in claimed}
    others = _opposing(judge.opponent_id, items) if judge.opponent_id else {}
    work = []
    for trial in claimed:
        row = asked_rows[trial.id]
        epoch, response = responses[trial.judged or 0]
        context = {**_context(trial, row), "references": row["references"], "messages": row["messages"]}
        asked = judge_question(
            judge,
            context,
            response,
            others.get((trial.item_id, epoch)),
            trial.epoch,
            images.get(trial.item_id, []),
        )
        work.append(_asking(plan, trial, row, asked))
    return work


def _semantic_work(
    plan: Plan, semantic: Semantic, claimed: Sequence[Claimed], asked_rows: Mapping[int, Mapping[str, Any]]
) -> list[Work]:
    """The texts to embed, by the items as they were asked, by trial; a query for the responses. Where nothing
    need be asked, the verdict is there."""
    ids = [trial.judged for trial in claimed if trial.judged]
    responses = dict(Trial.objects.filter(pk__in=among(ids)).order_by().values_list("pk", "response"))
    work = []
    for trial in claimed:
        row = asked_rows[trial.id]
        asked = semantic.asked(Subject(responses[trial.judged or 0], row["references"], row["choices"]))
        if isinstance(asked, Verdict):
            answer = Answer(settled(asked), "", cached=False)
            work.append(replace(_asking(plan, trial, row, Question([])), answer=answer))
            continue
        chat = [{"role": "user", "content": text, "rule": asked.rule} for text in asked.texts]
        work.append(replace(_asking(plan, trial, row, Question(chat)), embedded=asked))
    return work


def _opposing(opponent_id: int, item_ids: Iterable[int]) -> dict[tuple[int, int], str]:
    """By item and epoch."""
    trials = Trial.objects.filter(run=opponent_id, item__in=among(item_ids), state=TrialState.DONE)
    return {
        (item, epoch): response
        for item, epoch, response in trials.order_by().values_list("item_id", "epoch", "response")
    }


def _answered(trial: Claimed, row: Mapping[str, Any], text: str | None) -> Work:
    """A trial with what a person filled in for it."""
    content = (trial, row["prompt"], row["choices"], row["references"], row["metadata"])
    return Work(*content, recorded=text)


def _work(plan: Plan, trial: Claimed, row: Mapping[str, Any], images: Sequence[tuple[str, str]]) -> Work:
    content = (trial, row["prompt"], row["choices"], row["references"], row["metadata"])
    if not plan.calls:
        recorded = row["responses"] or {}
        known = next((recorded[name] for name in plan.recorded_names if name in recorded), None)
        return Work(*content, recorded=known)
    if not all(data for _, data in images):
        return Work(*content, problem=("not_sent", "The file of its image is gone."))
    template = plan.variants.template_of(trial.epoch)
    return _asking(plan, trial, row, question(template, _context(trial, row), row["messages"], images))


def _asking(plan: Plan, trial: Claimed, row: Mapping[str, Any], asked: Question) -> Work:
    content = (trial, row["prompt"], row["choices"], row["references"], row["metadata"])
    if asked.problem:
        return Work(*content, problem=("template", asked.problem))
    turn = trial.epoch if plan.judge else plan.variants.epoch(trial.epoch)
    key = "" if plan.cache_scope is None else cache_key(plan.cache_scope, asked.messages, turn)
    tokens = input_tokens(asked.messages) + plan.answer_tokens
    return Work(*content, chat=asked.messages, tokens=tokens, cache_key=key)


def _context(trial: Claimed, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a prompt template sees of an item: never its references."""
    return {
        "input": row["prompt"],
        "choices": list(row["choices"]),
        "section": trial.section,
        "id": row["external_id"],
        "metadata": row["metadata"],
    }


def _images(item_ids: set[int]) -> dict[int, list[tuple[str, str]]]:
    """(media type, base64) by item; the data is empty where the media folder lost the file."""
    found: dict[int, list[tuple[str, str]]] = {}
    for link in ItemAsset.objects.filter(item_id__in=item_ids).select_related("asset").order_by("position"):
        try:
            data = base64.b64encode(asset_bytes(link.asset)).decode()
        except OSError:
            data = ""
        found.setdefault(link.item_id, []).append((link.asset.media_type, data))
    return found
