"""The admin of providers and models: who gets in, what it saves, tests and registers, what it never shows."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from registry.models import Health, Provider, RegisteredModel
from tests.stub_endpoint import StubEndpoint
from workspaces.models import AuditEvent, User, Workspace

KEY = "sk-very-secret-key"
Make = Callable[..., Any]
As = Callable[[User], Client]
PROVIDERS, MODELS = "/admin/registry/provider/", "/admin/registry/registeredmodel/"


def provider_form(**values: Any) -> dict[str, Any]:
    known = {
        "name": "P", "workspace": "", "protocol": "openai_chat", "base_url": "https://api.example.com/v1",
        "is_active": "on", "new_key": "", "new_headers": "", "concurrency": 16, "timeout_s": 120,
        "requests_per_minute": "", "tokens_per_minute": "",
    }  # fmt: skip
    return known | values


def model_form(**values: Any) -> dict[str, Any]:
    known = {"source": "external", "name": "m", "alias": "", "is_active": "on", "default_params": "{}"}
    return known | values


def pages_of(row: Any) -> list[str]:
    at = PROVIDERS if isinstance(row, Provider) else MODELS
    pages = [at, f"{at}add/", f"{at}{row.pk}/change/", f"{at}{row.pk}/delete/", f"{at}{row.pk}/test/"]
    return [*pages, f"{at}{row.pk}/models/"] if isinstance(row, Provider) else pages


def test_only_staff_gets_in(client_of: As, owner: User, outsider: User, staff: User, model: Make) -> None:
    row = model()
    for page in pages_of(row) + pages_of(row.provider):
        assert client_of(staff).get(page).status_code == 200
        for client in (client_of(owner), client_of(outsider), Client()):
            for answer in (client.get(page), client.post(page, {})):
                assert answer.status_code in (302, 403) and KEY not in answer.content.decode()
    row.refresh_from_db()
    assert row.health == Health.UNKNOWN


def test_staff_without_single_permissions_runs_the_installation(client_of: As, model: Make) -> None:
    plain = User.objects.create_user("plain@example.com", "x", is_staff=True)
    assert client_of(plain).get(f"{PROVIDERS}{model().provider.pk}/change/").status_code == 200


def test_provider_is_added_with_its_key_encrypted(client_of: As, staff: User) -> None:
    answer = client_of(staff).post(f"{PROVIDERS}add/", provider_form(new_key=KEY, new_headers='{"x-a": "b"}'))
    assert answer.status_code == 302
    provider = Provider.objects.get()
    assert provider.api_key.reveal() == KEY and provider.headers.reveal() == '{"x-a": "b"}'
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM registry_provider")
        assert KEY not in cursor.fetchone()[0]
    assert AuditEvent.objects.get(action="provider.create").actor == staff


def test_no_page_shows_a_key_again(client_of: As, staff: User, provider: Make) -> None:
    row = provider(api_key=KEY, headers='{"x-auth": "t0psecret"}')
    for page in pages_of(row):
        shown = client_of(staff).get(page).content.decode()
        assert KEY not in shown and "t0psecret" not in shown
    wrong = provider_form(name="", new_key="sk-typed-now", new_headers='{"x": "typed-now"}')
    shown = client_of(staff).post(f"{PROVIDERS}{row.pk}/change/", wrong).content.decode()
    assert "This field is required" in shown and "typed-now" not in shown


def test_empty_key_keeps_and_switch_removes(client_of: As, staff: User, provider: Make) -> None:
    row = provider(api_key=KEY, workspace=None, base_url="https://api.example.com/v1")
    page = f"{PROVIDERS}{row.pk}/change/"
    client_of(staff).post(page, provider_form(name="Renamed"))
    row.refresh_from_db()
    assert row.name == "Renamed" and row.api_key.reveal() == KEY
    client_of(staff).post(page, provider_form(forget_key="on"))
    row.refresh_from_db()
    assert not row.api_key


def test_key_goes_with_its_host_and_the_admin_says_so(client_of: As, staff: User, provider: Make) -> None:
    row = provider(api_key=KEY, workspace=None, base_url="https://api.example.com/v1")
    moved = provider_form(base_url="https://evil.example/v1")
    answer = client_of(staff).post(f"{PROVIDERS}{row.pk}/change/", moved, follow=True)
    assert "The key was removed" in answer.content.decode()
    row.refresh_from_db()
    assert not row.api_key and row.base_url == "https://evil.example/v1"


@pytest.mark.parametrize(
    "wrong",
    [{"base_url": "ftp://x"}, {"base_url": "https://u:p@x.example"}, {"new_headers": '{"host": "x"}'},
     {"new_key": "ä"}, {"protocol": "smoke"}, {"concurrency": 0}],
)  # fmt: skip
def test_wrong_settings_are_refused(client_of: As, staff: User, wrong: dict[str, Any]) -> None:
    assert client_of(staff).post(f"{PROVIDERS}add/", provider_form(**wrong)).status_code == 200
    assert not Provider.objects.exists()


def test_model_is_saved_as_its_source_needs(
    client_of: As, staff: User, provider: Make, alpha: Workspace
) -> None:
    place = provider()
    form = model_form(
        source="hugging_face", provider=place.pk, workspace=alpha.pk, hf_repo="org/m", endpoint_id="left",
        capabilities=["vision", "streaming"], default_params='{"temperature": 0}', input_price="0.15",
    )  # fmt: skip
    assert client_of(staff).post(f"{MODELS}add/", form).status_code == 302
    row = RegisteredModel.objects.get()
    assert (row.hf_repo, row.endpoint_id, row.capabilities) == ("org/m", "", ["vision", "streaming"])
    assert row.default_params == {"temperature": 0}
    assert AuditEvent.objects.get(action="model.create").workspace == alpha


def test_model_without_its_provider_is_refused(client_of: As, staff: User, alpha: Workspace) -> None:
    answer = client_of(staff).post(f"{MODELS}add/", model_form(workspace=alpha.pk))
    assert "choose the provider" in answer.content.decode()
    assert (
        client_of(staff).post(f"{MODELS}add/", model_form(source="name_only", workspace=alpha.pk)).status_code
        == 302
    )


def test_same_model_twice_is_refused_in_words(client_of: As, staff: User, model: Make) -> None:
    row = model()
    form = model_form(provider=row.provider.pk, workspace=row.workspace.pk, name=row.name)
    assert (
        "registered at this provider already" in client_of(staff).post(f"{MODELS}add/", form).content.decode()
    )


def test_test_page_asks_first_and_shows_the_result(
    client_of: As, staff: User, model: Make, stub: StubEndpoint
) -> None:
    row = model()
    page = f"{MODELS}{row.pk}/test/"
    assert "costs a few tokens" in client_of(staff).get(page).content.decode() and stub.stats.total == 0
    shown = client_of(staff).post(page).content.decode()
    assert "Reachable" in shown and "ANSWER:" in shown and "output tokens" in shown
    stub.set(text="<b>bold</b>")
    assert "&lt;b&gt;bold" in client_of(staff).post(page).content.decode()


def test_test_page_shows_the_exact_failure(
    client_of: As, staff: User, provider: Make, stub: StubEndpoint
) -> None:
    stub.set(api_key="another")
    row = provider(api_key=KEY)
    shown = client_of(staff).post(f"{PROVIDERS}{row.pk}/test/").content.decode()
    assert "refused the key (401 Unauthorized): invalid api key" in shown and KEY not in shown


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["list", "page"])
def test_endpoints_are_called_outside_of_transactions(
    client_of: As, staff: User, model: Make, stub: StubEndpoint, way: str
) -> None:
    row, here, seen = model(), connections["default"], []

    def script(body: dict[str, Any]) -> str:
        seen.append(here.in_atomic_block)
        return "OK"

    stub.set(script=script)
    if way == "list":
        client_of(staff).post(MODELS, {"action": "test_connections", "_selected_action": [row.pk]})
    else:
        client_of(staff).post(f"{MODELS}{row.pk}/test/")
    assert seen == [False]


def test_chosen_rows_are_tested_with_a_message_each(
    client_of: As, staff: User, model: Make, stub: StubEndpoint
) -> None:
    good = model(name="good")
    Provider.objects.create(name="Dead", workspace=good.workspace, base_url="http://127.0.0.1:1/v1")
    bad = model(name="bad", provider=Provider.objects.get(name="Dead"))
    chosen = {"action": "test_connections", "_selected_action": [good.pk, bad.pk]}
    shown = client_of(staff).post(MODELS, chosen, follow=True).content.decode()
    assert "good: answered in" in shown and "connection refused" in shown
    both = {"action": "test_connections", "_selected_action": [good.provider.pk, bad.provider.pk]}
    shown = client_of(staff).post(PROVIDERS, both, follow=True).content.decode()
    assert "answered in" in shown and "connection refused" in shown


def test_rows_are_activated_and_deactivated(client_of: As, staff: User, model: Make) -> None:
    row = model()
    for at, target in ((MODELS, row), (PROVIDERS, row.provider)):
        for name, active in (("deactivate", False), ("activate", True)):
            client_of(staff).post(at, {"action": name, "_selected_action": [target.pk]})
            target.refresh_from_db()
            assert target.is_active is active
    assert AuditEvent.objects.filter(action__endswith="activate").count() == 4


def test_listed_models_are_ticked_and_registered(
    client_of: As, staff: User, model: Make, stub: StubEndpoint
) -> None:
    row = model(name="stub-model")
    page = f"{PROVIDERS}{row.provider.pk}/models/"
    shown = client_of(staff).get(page).content.decode()
    assert 'value="stub-model" checked disabled' in shown
    new = next(name for name in stub.stub.options.models if name != "stub-model")
    answer = client_of(staff).post(page, {"names": [new]})
    assert answer.status_code == 302
    assert set(row.provider.registered_models.values_list("name", flat=True)) == {"stub-model", new}
    assert AuditEvent.objects.get(action="model.register").detail == {"names": [new]}


@pytest.mark.parametrize("names", [[], ["not-served"], ["stub-model"]])
def test_what_was_not_offered_is_not_registered(
    client_of: As, staff: User, model: Make, stub: StubEndpoint, names: list[str]
) -> None:
    row = model(name="stub-model")
    shown = client_of(staff).post(f"{PROVIDERS}{row.provider.pk}/models/", {"names": names})
    assert "Tick at least one" in shown.content.decode() and RegisteredModel.objects.count() == 1


def test_list_that_cannot_be_read_says_why(client_of: As, staff: User, provider: Make) -> None:
    row = provider(base_url="http://127.0.0.1:1/v1")
    shown = client_of(staff).get(f"{PROVIDERS}{row.pk}/models/").content.decode()
    assert "connection refused" in shown and "Register ticked" not in shown


def test_deleting_leaves_an_audit_line(client_of: As, staff: User, model: Make) -> None:
    row = model()
    client_of(staff).post(f"{PROVIDERS}{row.provider.pk}/delete/", {"post": "yes"})
    assert not Provider.objects.exists() and not RegisteredModel.objects.exists()
    assert AuditEvent.objects.get(action="provider.delete").detail == {"models": 1}


@pytest.mark.parametrize("at", [PROVIDERS, MODELS])
def test_lists_cost_the_same_however_long(client_of: As, staff: User, model: Make, at: str) -> None:
    client, first = client_of(staff), model(name="m")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(at).status_code == 200
        return len(queries)

    cost()
    few = cost()
    for number in range(12):
        model(name=f"m{number}", **({"provider": first.provider} if number % 2 else {}))
    assert cost() == few


def test_lists_search_filter_and_link_to_the_portal(client_of: As, staff: User, model: Make) -> None:
    row = model(name="needle")
    model(name="hay", health=Health.OK)
    shown = client_of(staff).get(f"{MODELS}?q=needle").content.decode()
    assert "needle" in shown and ">hay<" not in shown
    assert reverse("registry:model", args=["alpha", row.pk]) in shown
    assert "needle" not in client_of(staff).get(f"{MODELS}?health__exact=ok").content.decode()
