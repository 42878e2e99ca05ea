"""What people do with comparisons: decide on an item, ask it again, keep a comparison under a name."""

from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from analysis.models import SavedComparison, TriagedItem, TriageState
from datasets.models import Item
from judges.models import JudgeVersion
from runs.models import FINISHED_STATUSES, Run, Trial
from runs.services import Launch, LaunchProblems, launch
from workspaces import audit
from workspaces.access import Access
from workspaces.models import Membership, User

AGAIN_EPOCHS = 5
SAME_CLICK = timedelta(seconds=30)
LONGEST_COMMENT = 2000


class TriageProblem(ValueError):
    """Why it cannot be kept, in words for people."""


class NameTaken(ValueError):
    """Another comparison of the workspace has this name."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """`run` and `baseline` are of the access's workspace, and `item` is one of the run's."""

    run: Run
    item: Item
    baseline: Run | None
    scorer: str
    state: str
    assignee_id: int | None = None
    comment: str = ""


def triage(access: Access, decision: Decision) -> TriagedItem:
    """Keeps the decision in the shared list, in place of an earlier one. Raises TriageProblem."""
    if decision.state not in TriageState.values:
        raise TriageProblem("Choose what the item is.")
    if len(decision.comment) > LONGEST_COMMENT:
        raise TriageProblem(f"A comment has at most {LONGEST_COMMENT:,} characters.")
    if not Trial.objects.filter(run=decision.run, item=decision.item).exists():
        raise TriageProblem("The run has no such item.")
    assignee = member(access, decision.assignee_id)
    with transaction.atomic():
        row, _ = TriagedItem.objects.update_or_create(
            run=decision.run,
            item=decision.item,
            defaults={
                "workspace": access.workspace,
                "baseline": decision.baseline,
                "scorer": decision.scorer[:80],
                "state": decision.state,
                "assignee": assignee,
                "comment": decision.comment,
                "changed_by": access.actor,
                "changed_at": timezone.now(),
            },
        )
        audit.record(
            access, "item.triage", f"item {decision.item.pk} in run {decision.run.pk}", state=decision.state
        )
    return row


def member(access: Access, user_id: int | None) -> User | None:
    """The member of that id, who can be assigned; None for nobody. Raises TriageProblem."""
    if user_id is None:
        return None
    found = Membership.objects.filter(workspace=access.workspace, user=user_id).select_related("user").first()
    if found is None:
        raise TriageProblem("Only a member of the workspace can be assigned.")
    return found.user


def comparison_save(access: Access, *, name: str, query: str) -> SavedComparison:
    """Raises NameTaken. `query` is the page's own query string, without the open item and page."""
    try:
        with transaction.atomic():
            saved = SavedComparison.objects.create(
                workspace=access.workspace, name=name, query=query, created_by=access.actor
            )
            audit.record(access, "comparison.save", name)
    except IntegrityError as error:
        raise NameTaken(f"There is already a comparison named {name}.") from error
    return saved


def comparison_delete(access: Access, saved: SavedComparison) -> None:
    with transaction.atomic():
        saved.delete()
        audit.record(access, "comparison.delete", saved.name)


def ask_again(access: Access, decision: Decision) -> Run:
    """Asks the item AGAIN_EPOCHS times as the run did, in a run of its own that the item's triage names.

    While that is under way, or was begun a moment ago, nothing more is asked and that run is returned. Raises
    TriageProblem.
    """
    run, item = decision.run, decision.item
    if run.model_id is None or run.config.get("responses") != "fresh":
        raise TriageProblem("The run called no model, so there is nothing to ask again.")
    config = run.config
    wish = Launch(
        dataset_version_id=item.version_id,
        model_ids=[run.model_id],
        scorers=config["scorers"],
        template=config["template"],
        params=config["params"],
        alias=f"{run.alias[:110]}, again",  # its five answers are no result of the alias
        label=f"again: item {item.external_id or item.position}"[:120],
        name=f"{AGAIN_EPOCHS} times item {item.external_id or item.position} of run {run.pk}",
        epochs=AGAIN_EPOCHS,
        item_ids=[item.pk],
        judges=list(JudgeVersion.objects.filter(pk__in=judge_versions(run))),
    )
    with transaction.atomic():
        Item.objects.select_for_update(no_key=True).get(pk=item.pk)  # two clicks in turn
        if (begun := _just_asked(run, item)) is not None:
            return begun
        try:
            made = launch(access, wish).runs.get(judged=None)
        except LaunchProblems as problem:
            raise TriageProblem(str(problem)) from problem
        TriagedItem.objects.update_or_create(
            run=run,
            item=item,
            defaults={"again": made},
            create_defaults={
                "workspace": access.workspace,
                "baseline": decision.baseline,
                "scorer": decision.scorer[:80],
                "changed_by": access.actor,
                "changed_at": timezone.now(),
                "again": made,
            },
        )
    return made


def _just_asked(run: Run, item: Item) -> Run | None:
    """The run that asks the item again already, under way or begun a moment ago."""
    latest = TriagedItem.objects.filter(run=run, item=item, again__isnull=False).values("again")
    recent = Q(created_at__gt=timezone.now() - SAME_CLICK) | ~Q(status__in=FINISHED_STATUSES)
    return Run.objects.filter(recent, pk__in=latest).first()


def judge_versions(run: Run) -> list[int]:
    """Of judges that ask about one response; those that compare would need the opponent's."""
    judges = run.config.get("judges", [])
    return [judge["version"] for judge in judges if not judge.get("panel") and judge.get("kind") != "compare"]
