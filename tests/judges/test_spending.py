"""Previews and control sets count in the workspace's month, and stop at its ceiling before they call."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from judges.asking import Material
from judges.calling import Unavailable
from judges.kinds.base import NoVerdict
from judges.services import ask, check_controls
from judges.spending import MonthIsSpent, Used, Wanted
from judges.tasks import control_check_run
from registry.models import RegisteredModel
from runs.models import MonthlySpend
from runs.services.purse import MonthPurse
from tests.judges.conftest import Made, draft_of
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access
from workspaces.models import User, Workspace

pytestmark = pytest.mark.django_db
ITEM = {"input": "What is 6 times 7?", "references": ["42"]}


@pytest.fixture
def priced(judge_model: RegisteredModel) -> RegisteredModel:
    """A dollar for a thousand tokens either way."""
    judge_model.input_price = judge_model.output_price = Decimal(1000)
    judge_model.save(update_fields=["input_price", "output_price"])
    return judge_model


def limited(workspace: Workspace, *, cost: Decimal | None = None, tokens: int | None = None) -> None:
    workspace.monthly_cost_ceiling, workspace.monthly_token_ceiling = cost, tokens
    workspace.save(update_fields=["monthly_cost_ceiling", "monthly_token_ceiling"])


def test_what_a_preview_took_is_counted(
    held: Access, priced: RegisteredModel, says: Callable[..., None]
) -> None:
    says(label="Correct")
    ask(held, draft_of("classify", priced, repeats=3), [Material(ITEM, "It is 42.")])
    spend = MonthlySpend.objects.get(workspace=held.workspace)
    assert spend.calls == 3 and 0 < spend.tokens < 3 * 4096
    assert spend.cost == Decimal(spend.tokens) / 1_000


def test_a_failed_call_counts_as_a_call_alone(
    held: Access, priced: RegisteredModel, says: Callable[..., None], stub: StubEndpoint
) -> None:
    says("?")
    stub.set(fail_rate=1.0, fail_mode=["400"])
    ask(held, draft_of("classify", priced), [Material(ITEM, "42")])
    spend = MonthlySpend.objects.get()
    assert (spend.calls, spend.tokens, spend.cost) == (1, 0, 0)


@pytest.mark.parametrize(
    "ceiling, words",
    [
        ({"cost": Decimal(4)}, "of $4.00 is reached: $0.0000 is spent and this call may take $4."),
        ({"tokens": 4_000}, "of 4,000 tokens is reached: 0 are used and this call may take 4,"),
    ],
)
def test_at_the_ceiling_nothing_is_asked(
    held: Access, priced: RegisteredModel, says: Callable[..., None], ceiling: Any, words: str
) -> None:
    bodies: list[Any] = []
    says(lambda body: bodies.append(body) or "{}")
    limited(held.workspace, **ceiling)
    with pytest.raises(Unavailable) as refused:
        ask(held, draft_of("classify", priced), [Material(ITEM, "42")])
    assert words in str(refused.value) and "administrator" in str(refused.value)
    assert not bodies and not MonthlySpend.objects.filter(calls__gt=0).exists()


def test_where_the_month_ends_on_the_way_the_rest_is_not_asked(
    held: Access, priced: RegisteredModel, says: Callable[..., None]
) -> None:
    """Eight calls go out at once; what they held back is free again after them."""
    bodies: list[Any] = []
    says(lambda body: bodies.append(body) or '{"feedback": "", "label": "Correct"}')
    limited(held.workspace, tokens=8 * 4_500)
    judged = ask(held, draft_of("classify", priced), [Material(ITEM, f"Is it {n}?") for n in range(30)])
    assert len(bodies) in range(8, 30)
    left = [each.said for each in judged if isinstance(each.said, NoVerdict)]
    assert len(left) == 30 - len(bodies) and "ceiling for" in left[0].detail
    assert MonthlySpend.objects.get().tokens <= 8 * 4_500


def test_the_control_set_says_that_the_month_is_spent(
    held: Access, made: Made, priced: RegisteredModel
) -> None:
    limited(held.workspace, tokens=1_000)
    check = check_controls(held, made())
    control_check_run(check.pk)
    check.refresh_from_db()
    assert check.finished_at and check.n == 0 and "ceiling for" in check.problem


def test_the_page_and_the_api_say_it(
    held: Access,
    made: Made,
    priced: RegisteredModel,
    dataset: Callable[..., Any],
    editor: User,
    client_of: Callable[[User], Client],
) -> None:
    judge, sample = made(), dataset(1).pk
    limited(held.workspace, tokens=1_000)
    client = client_of(editor)
    body = {"dataset_version": sample, "source": "reference", "ask": True}
    url = f"/api/v1/judges/{judge.judge_id}/preview"
    answer = client.post(url, body, content_type="application/json", headers={"X-Workspace": "alpha"})
    assert answer.status_code == 409 and "ceiling for" in answer.json()["detail"]


def test_a_process_that_dies_leaves_what_it_held(alpha: Workspace, priced: RegisteredModel) -> None:
    """Two purses over one month: what one holds, the other has not."""
    limited(alpha, tokens=10_000)
    call = Wanted(priced, [{"role": "user", "content": "Hello"}], {"max_tokens": 6_000})
    first = MonthPurse(alpha.pk)
    held = first.hold([call])
    with pytest.raises(MonthIsSpent):
        MonthPurse(alpha.pk).hold([call])
    first.settle(held, [Used(5, 7)])
    assert MonthlySpend.objects.get().tokens == 12
    MonthPurse(alpha.pk).hold([call])
