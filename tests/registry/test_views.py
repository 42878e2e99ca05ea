"""The portal's pages of models: who sees them, what they say, testing a connection."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from registry.models import Health, Source
from tests.stub_endpoint import StubEndpoint
from workspaces.models import User, Workspace

KEY = "sk-very-secret"
Make = Callable[..., Any]
As = Callable[[User], Client]
LIST = "/w/alpha/models/"


def addresses(row: Any) -> list[str]:
    return [LIST, f"{LIST}{row.pk}/"]


def test_members_see_models_without_secrets(
    client_of: As, viewer: User, editor: User, staff: User, model: Make, provider: Make
) -> None:
    place = provider(api_key=KEY, headers='{"x-auth": "t0psecret"}', base_url="https://inner.example/v1")
    row = model(alias="Shiny", provider=place, capabilities=["vision"], input_price=Decimal("0.15"))
    for person in (viewer, editor, staff):
        for address in addresses(row):
            page = client_of(person).get(address).content.decode()
            assert "Shiny" in page and "stub-model" in page and "Sees images" in page and "$0.15" in page
            assert KEY not in page and "t0psecret" not in page


def test_outsider_gets_404_and_nobody_gets_the_login(client_of: As, outsider: User, model: Make) -> None:
    row = model()
    for address in addresses(row):
        assert client_of(outsider).get(address).status_code == 404
        assert Client().get(address).url.startswith("/accounts/login/")  # type: ignore[attr-defined]
    probe = reverse("registry:probe", args=["alpha", row.pk])
    assert client_of(outsider).post(probe).status_code == 404
    assert Client().post(probe).status_code == 302


def test_another_workspaces_model_is_a_404(
    client_of: As, outsider: User, editor: User, model: Make, provider: Make, beta: Workspace
) -> None:
    row, theirs = model(), model(workspace=beta, provider=provider(workspace=beta))
    assert client_of(outsider).get(f"/w/beta/models/{row.pk}/").status_code == 404
    assert client_of(editor).get(f"{LIST}{theirs.pk}/").status_code == 404
    assert client_of(editor).post(f"{LIST}{theirs.pk}/test/").status_code == 404


def test_shared_model_is_seen_everywhere(client_of: As, outsider: User, model: Make, provider: Make) -> None:
    row = model(workspace=None, provider=provider(workspace=None))
    assert client_of(outsider).get(f"/w/beta/models/{row.pk}/").status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [("", {"aa", "bb", "cc"}), ("?q=AA", {"aa"}), ("?q=stub+bb", {"bb"}), ("?source=trained", {"cc"}),
     ("?q=zz", set()), ("?source=nonsense", {"aa", "bb", "cc"}), ("?provider=x&q=%00", {"aa", "bb", "cc"})],
)  # fmt: skip
def test_filter_is_in_the_address(
    client_of: As, viewer: User, model: Make, query: str, found: set[str]
) -> None:
    first = model(name="aa")
    model(name="bb", provider=first.provider)
    model(name="cc", provider=first.provider, source=Source.TRAINED, parent=first)
    page = client_of(viewer).get(LIST + query)
    assert {row.name for row in page.context["models"]} == found
    assert ("No model matches" in page.content.decode()) == (not found)


def test_provider_filter(client_of: As, viewer: User, model: Make) -> None:
    row = model(name="aa")
    model(name="bb")
    page = client_of(viewer).get(f"{LIST}?provider={row.provider_id}")
    assert [each.name for each in page.context["models"]] == ["aa"]


def test_inactive_ones_are_not_offered(client_of: As, viewer: User, model: Make) -> None:
    model(is_active=False)
    assert not client_of(viewer).get(LIST).context["models"]


def test_empty_page_names_the_next_step(client_of: As, viewer: User, staff: User, alpha: Workspace) -> None:
    assert "administrator registers models" in client_of(viewer).get(LIST).content.decode()
    assert reverse("admin:registry_provider_add") in client_of(staff).get(LIST).content.decode()


def test_old_probe_is_shown_as_stale_with_its_age(client_of: As, viewer: User, model: Make) -> None:
    checked = timezone.now() - timedelta(hours=3, minutes=5)
    row = model(health=Health.OK, health_checked_at=checked, health_latency_ms=80)
    for address in addresses(row):
        page = client_of(viewer).get(address).content.decode()
        assert "Was reachable" in page and "3 h ago, stale" in page


def test_list_costs_the_same_however_long(client_of: As, editor: User, model: Make) -> None:
    client, place = client_of(editor), model(name="m").provider

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(LIST).status_code == 200
        return len(queries)

    cost()
    few = cost()
    for number in range(30):
        model(name=f"m{number}", provider=place)
    assert cost() == few <= 12


def test_only_editors_launch_and_test(client_of: As, viewer: User, editor: User, model: Make) -> None:
    row = model()
    probe = reverse("registry:probe", args=["alpha", row.pk])
    launch = reverse("runs:launch", args=["alpha"]) + f"?model={row.pk}"
    page = client_of(viewer).get(f"{LIST}{row.pk}/").content.decode()
    assert probe not in page and launch not in page
    assert client_of(viewer).post(probe).status_code == 403
    page = client_of(editor).get(f"{LIST}{row.pk}/").content.decode()
    assert probe in page and launch in page
    assert client_of(editor).get(probe).status_code == 405


def test_connection_is_tested_without_script(client_of: As, editor: User, model: Make) -> None:
    row = model()
    page = client_of(editor).post(f"{LIST}{row.pk}/test/", follow=True)
    assert page.redirect_chain == [(f"{LIST}{row.pk}/", 302)]
    assert "answered in" in page.content.decode() and "Reachable" in page.content.decode()


def test_connection_is_tested_as_a_fragment(
    client_of: As, editor: User, model: Make, stub: StubEndpoint
) -> None:
    row = model()
    stub.set(fail_first=1, fail_mode=("500",))
    page = client_of(editor).post(f"{LIST}{row.pk}/test/", headers={"HX-Request": "true"}).content.decode()
    assert page.lstrip().startswith('<section class="panel" id="model-health"')
    assert "Failing" in page and "injected 500" in page


def test_model_output_is_text(client_of: As, editor: User, model: Make, stub: StubEndpoint) -> None:
    stub.set(text="<script>alert(1)</script>")
    row = model()
    page = client_of(editor).post(f"{LIST}{row.pk}/test/", follow=True).content.decode()
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page


def test_page_tells_where_a_model_comes_from(client_of: As, viewer: User, model: Make) -> None:
    base = model(name="base", source=Source.HUGGING_FACE, hf_repo="org/base", hf_revision="v1", alias="Base")
    tuned = model(name="tuned", source=Source.TRAINED, parent=base, provider=base.provider)
    page = client_of(viewer).get(f"{LIST}{tuned.pk}/").content.decode()
    assert f'<a href="{LIST}{base.pk}/">Base</a>' in page
    page = client_of(viewer).get(f"{LIST}{base.pk}/").content.decode()
    assert (
        "https://huggingface.co/org/base/tree/v1" in page and f'<a href="{LIST}{tuned.pk}/">tuned</a>' in page
    )


def test_model_by_name_only_has_nothing_to_test(client_of: As, editor: User, model: Make) -> None:
    row = model(source=Source.NAME_ONLY, provider=None)
    page = client_of(editor).get(f"{LIST}{row.pk}/").content.decode()
    assert "No endpoint" in page and "/test/" not in page
    page = client_of(editor).post(f"{LIST}{row.pk}/test/", follow=True).content.decode()
    assert "no endpoint to test" in page
