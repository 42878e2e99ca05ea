"""Saving providers and models, probing them, and who may do so."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connections
from django.utils import timezone

from registry import rules, selectors, services
from registry.models import Health, Provider, RegisteredModel, Source
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access, system_access
from workspaces.models import AuditEvent, Role, User, Workspace

KEY = "sk-very-secret"
Make = Callable[..., Any]


def audit_text() -> str:
    return json.dumps(list(AuditEvent.objects.values("action", "target", "detail")))


def saved(staff: User, **secrets: Any) -> Provider:
    provider = Provider(name="P", base_url="https://api.example.com/v1")
    services.provider_save(staff, provider, **secrets)
    return Provider.objects.get(pk=provider.pk)


# Secrets of providers


def test_empty_key_keeps_the_stored_one(staff: User) -> None:
    provider = saved(staff, api_key=KEY, headers='{"x-a": "b"}')
    provider.name = "Q"
    assert services.provider_save(staff, provider) == []
    again = Provider.objects.get()
    assert (again.name, again.api_key.reveal(), again.headers.reveal()) == ("Q", KEY, '{"x-a": "b"}')


@pytest.mark.parametrize(
    "base_url",
    ["http://api.example.com/v1", "https://api.example.org/v1", "https://api.example.com:8443/v1",
     "https://api.example.com.evil.example/v1", "https://10.0.0.1/v1"],
)  # fmt: skip
def test_secrets_go_when_scheme_host_or_port_change(staff: User, base_url: str) -> None:
    provider = saved(staff, api_key=KEY, headers='{"x-a": "b"}')
    provider.base_url = base_url
    assert services.provider_save(staff, provider) == ["api_key", "headers"]
    again = Provider.objects.get()
    assert not again.api_key and not again.headers


@pytest.mark.parametrize(
    "base_url", ["https://api.example.com/v2", "https://API.example.com/v1", "https://api.example.com:443/v1"]
)
def test_secrets_stay_at_the_same_origin(staff: User, base_url: str) -> None:
    provider = saved(staff, api_key=KEY)
    provider.base_url = base_url
    assert services.provider_save(staff, provider) == []
    assert Provider.objects.get().api_key.reveal() == KEY


def test_new_key_goes_with_the_new_host(staff: User) -> None:
    provider = saved(staff, api_key=KEY)
    provider.base_url = "https://other.example/v1"
    assert services.provider_save(staff, provider, api_key="new-key") == []
    assert Provider.objects.get().api_key.reveal() == "new-key"


def test_key_set_on_the_instance_is_not_taken(staff: User) -> None:
    """A form that assigns what the browser sent cannot overwrite a secret by accident."""
    provider = saved(staff, api_key=KEY)
    provider.api_key = ""
    services.provider_save(staff, provider)
    assert Provider.objects.get().api_key.reveal() == KEY


def test_key_is_removed_when_asked(staff: User) -> None:
    provider = saved(staff, api_key=KEY)
    assert services.provider_save(staff, provider, forget=["api_key"]) == ["api_key"]
    assert not Provider.objects.get().api_key


def test_audit_names_what_changed_without_values(staff: User) -> None:
    provider = saved(staff, api_key=KEY, headers='{"x-a": "t0psecret"}')
    provider.base_url = "https://other.example/v1"
    services.provider_save(staff, provider)
    assert AuditEvent.objects.first().detail["changed"] == ["base_url", "api_key cleared", "headers cleared"]  # type: ignore[union-attr]
    assert KEY not in audit_text() and "t0psecret" not in audit_text()


def test_changed_address_forgets_health(staff: User) -> None:
    provider = saved(staff)
    Provider.objects.update(health=Health.OK, health_checked_at=timezone.now(), health_detail="OK")
    provider.refresh_from_db()
    provider.base_url = "https://other.example/v1"
    services.provider_save(staff, provider)
    again = Provider.objects.get()
    assert (again.health, again.health_checked_at, again.health_detail) == (Health.UNKNOWN, None, "")


# Rules


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://x.example/v1", "https://", "https://user:pw@x.example/v1", "https://x.example/v1#a",
     "https://x.example:99999/", "https://x.example/v1/chat/completions", "https://x. example/", "https://[::1/v1"],
)  # fmt: skip
def test_base_url_that_will_not_do(url: str) -> None:
    with pytest.raises(ValidationError):
        rules.check_base_url(url)


@pytest.mark.parametrize(
    "url",
    ["http://vllm:8000/v1", "http://127.0.0.1:11434/v1", "https://[::1]/v1", "https://x.example/v1?api=2"],
)
def test_base_url_that_will_do(url: str) -> None:
    rules.check_base_url(url)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '"x"', '{"Host": "evil"}', '{"content-length": "1"}', '{"x": 1}', '{"x": "a\\r\\nb"}',
     '{"x y": "z"}', '{"x": "ä"}', "[" * 100_000],
)  # fmt: skip
def test_headers_that_will_not_do(text: str) -> None:
    with pytest.raises(ValidationError):
        rules.check_headers(text)


def test_refused_headers_are_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        rules.check_headers('{"x-auth": "t0psecret\\n"}')
    assert "t0psecret" not in str(caught.value)


def test_names_are_unique_where_they_are_seen(staff: User, alpha: Workspace, provider: Make) -> None:
    saved(staff)
    with pytest.raises(ValidationError, match="this name"):
        saved(staff)
    with pytest.raises(IntegrityError):
        Provider.objects.create(name="P", base_url="https://x.example")


def test_model_fits_its_source(staff: User, alpha: Workspace, beta: Workspace, model: Make) -> None:
    base = model(name="base")
    bad: list[dict[str, Any]] = [
        {"source": Source.EXTERNAL},
        {"source": Source.HUGGING_FACE, "provider": base.provider},
        {"source": Source.DEDICATED, "provider": base.provider},
        {"source": Source.EXTERNAL, "provider": base.provider, "workspace": beta},
        {"source": Source.EXTERNAL, "provider": base.provider, "workspace": None},
        {"source": Source.EXTERNAL, "provider": base.provider, "capabilities": ["telepathy"]},
        {"source": Source.EXTERNAL, "provider": base.provider, "default_params": [1]},
    ]
    for values in bad:
        with pytest.raises(ValidationError):
            services.model_save(staff, RegisteredModel(**({"name": "m", "workspace": alpha} | values)))


def test_fields_of_another_source_are_emptied(staff: User, alpha: Workspace, model: Make) -> None:
    base = model(name="base")
    row = RegisteredModel(
        workspace=alpha, provider=base.provider, name="m", source=Source.NAME_ONLY, endpoint_id="e",
        hf_repo="a/b", parent=base,
    )  # fmt: skip
    services.model_save(staff, row)
    row.refresh_from_db()
    assert (row.provider, row.endpoint_id, row.hf_repo, row.parent) == (None, "", "", None)


def test_model_cannot_descend_from_itself(staff: User, model: Make) -> None:
    old = model(name="old")
    new = model(name="new", provider=old.provider, source=Source.TRAINED, parent=old)
    old.source, old.parent = Source.TRAINED, new
    with pytest.raises(ValidationError, match="descend"):
        services.model_save(staff, old)


# Who may


def test_only_staff_and_owners_of_the_workspace_change(
    staff: User, editor: User, outsider: User, alpha: Workspace, beta: Workspace, provider: Make
) -> None:
    mine, shared = provider(), provider(workspace=None)
    for actor in (editor, outsider, Access(alpha, Role.EDITOR), Access(beta, Role.OWNER)):
        with pytest.raises(PermissionDenied):
            services.provider_save(actor, mine)
        with pytest.raises(PermissionDenied):
            services.models_register(actor, mine, ["m"])
    with pytest.raises(PermissionDenied):
        services.provider_save(system_access(alpha), shared)
    with pytest.raises(PermissionDenied):
        services.external_model(Access(alpha, Role.EDITOR), base_url="https://x.example", name="m")
    services.provider_save(staff, shared)
    services.provider_save(system_access(alpha), mine)


def test_editors_probe_what_their_workspace_sees(alpha: Workspace, beta: Workspace, model: Make) -> None:
    mine = model()
    assert services.model_probe(Access(alpha, Role.EDITOR), mine).success
    for access in (Access(alpha, Role.VIEWER), Access(beta, Role.OWNER)):
        with pytest.raises(PermissionDenied):
            services.model_probe(access, mine)


# Probes


def test_probe_stores_health_of_model_and_provider(staff: User, model: Make, stub: StubEndpoint) -> None:
    row = model(default_params={"temperature": 0, "max_tokens": 900})
    result = services.model_probe(staff, row)
    assert result.success and result.preview and result.output_tokens and result.latency_ms is not None
    row.refresh_from_db()
    assert row.health == row.provider.health == Health.OK and not row.health_is_stale
    assert row.health_detail == result.preview and row.health_latency_ms == result.latency_ms
    assert stub.stub.requests[-1]["max_tokens"] == 16 and stub.stub.requests[-1]["temperature"] == 0


def test_failed_probe_says_exactly_what_went_wrong(staff: User, model: Make, stub: StubEndpoint) -> None:
    row = model()
    services.provider_save(staff, row.provider, api_key=KEY)
    stub.set(api_key="another")
    result = services.model_probe(staff, row)
    assert (result.success, result.kind, result.status_code) == (False, "unauthorized", 401)
    row.refresh_from_db()
    assert row.health == Health.FAILING and "refused the key" in row.health_detail
    assert KEY not in repr(result) + row.health_detail


def test_old_probe_is_stale(model: Make) -> None:
    row = model(health=Health.OK, health_checked_at=timezone.now() - timedelta(minutes=6))
    assert row.health_is_stale and not RegisteredModel().health_is_stale


def test_several_are_probed_at_once_and_each_gets_its_own(
    staff: User, model: Make, stub: StubEndpoint
) -> None:
    good = model()
    name_only = model(source=Source.NAME_ONLY, provider=None, name="n")
    dead = model(name="dead", provider=Provider.objects.create(name="Dead", base_url="http://127.0.0.1:1/v1",
                                                                workspace=good.workspace))  # fmt: skip
    results = services.models_probe(staff, [name_only, dead, good])
    assert [result.success for result in results] == [False, False, True]
    assert "no endpoint" in results[0].message and results[1].kind == "connection"


def test_provider_without_models_is_asked_for_its_list(staff: User, provider: Make) -> None:
    result = services.provider_probe(staff, provider())
    assert result.success and result.preview.startswith("Serves stub-model")


def test_provider_with_models_gives_a_completion(staff: User, model: Make, stub: StubEndpoint) -> None:
    row = model()
    assert services.provider_probe(staff, row.provider).output_tokens
    row.refresh_from_db()
    assert row.health == Health.OK


def test_model_that_refuses_max_tokens_is_asked_without(staff: User, model: Make, stub: StubEndpoint) -> None:
    row = model(default_params={"max_completion_tokens": 900})
    services.model_probe(staff, row)
    assert (
        stub.stub.requests[-1]["max_completion_tokens"] == 16 and "max_tokens" not in stub.stub.requests[-1]
    )


def test_lost_field_key_is_a_failed_probe(staff: User, model: Make, settings: Any) -> None:
    row = model()
    services.provider_save(staff, row.provider, api_key=KEY)
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    fresh = RegisteredModel.objects.select_related("provider").get(pk=row.pk)
    result = services.model_probe(staff, fresh)
    assert not result.success and "enter it again" in result.message


@pytest.mark.django_db(transaction=True)
def test_probe_calls_out_of_any_transaction(staff: User, model: Make, stub: StubEndpoint) -> None:
    row, here, seen = model(), connections["default"], []

    def script(body: dict[str, Any]) -> str:
        seen.append(here.in_atomic_block)
        return "OK"

    stub.set(script=script)
    assert services.model_probe(staff, row).preview == "OK"
    assert seen == [False]


# Registering


def test_listed_models_are_registered_once(staff: User, provider: Make) -> None:
    place = provider(workspace=None)
    names = services.endpoint_models(place)
    assert [row.source for row in services.models_register(staff, place, names)] == ["platform"] * len(names)
    assert services.models_register(staff, place, names) == []
    assert place.registered_models.count() == len(names)


def test_activation_is_noted_once(staff: User, model: Make) -> None:
    row = model()
    assert services.set_active(staff, [row], active=False) == 1
    assert services.set_active(staff, [row], active=False) == 0
    assert AuditEvent.objects.filter(action="model.deactivate").count() == 1


def test_model_by_name_only_is_made_once_a_workspace(alpha: Workspace, beta: Workspace) -> None:
    first = services.model_by_name_only(system_access(alpha), "175B")
    assert services.model_by_name_only(system_access(alpha), "175B") == first
    assert services.model_by_name_only(system_access(beta), "175B") != first
    assert first.source == Source.NAME_ONLY and not first.is_callable


def test_external_model_is_found_again(alpha: Workspace, stub: StubEndpoint) -> None:
    access = system_access(alpha)
    first = services.external_model(access, base_url=stub.base_url, name="m", api_key=KEY, concurrency=64)
    again = services.external_model(access, base_url=stub.base_url + "/", name="m")
    other = services.external_model(access, base_url=stub.base_url, name="n", concurrency=128)
    assert first == again and other.provider == first.provider
    provider = Provider.objects.get()
    assert provider.concurrency == 128 and provider.api_key.reveal() == KEY
    assert first.source == Source.EXTERNAL


def test_external_models_of_two_addresses_have_two_providers(alpha: Workspace) -> None:
    access = system_access(alpha)
    for path in ("v1", "v2"):
        services.external_model(access, base_url=f"https://x.example/{path}", name="m")
    assert sorted(Provider.objects.values_list("name", flat=True)) == ["x.example", "x.example 2"]
    with pytest.raises(ValidationError):
        services.external_model(access, base_url="nonsense", name="m")


# What a workspace sees


def test_workspace_sees_its_own_and_the_shared(
    alpha: Workspace, beta: Workspace, model: Make, provider: Make
) -> None:
    own = model(name="own")
    shared = model(name="shared", workspace=None, provider=provider(workspace=None))
    model(name="asleep", is_active=False)
    model(name="asleep too", provider=provider(is_active=False))
    foreign = provider(workspace=beta)
    model(name="broken rule", workspace=None, provider=foreign)
    assert set(selectors.models_for(alpha)) == {own, shared}
    assert [row.name for row in selectors.models_for(beta)] == ["broken rule", "shared"]
    assert foreign not in selectors.providers_for(alpha)
