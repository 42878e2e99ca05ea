"""What people command about providers and models. Every change is checked, and leaves an audit line."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import PermissionDenied
from django.db import transaction

from evalportal.lib.secret_fields import Secret, UndecryptableSecret
from registry import probes, rules
from registry.calls import CallFailed, Endpoint
from registry.models import Health, Probed, Provider, RegisteredModel, Source
from registry.probes import ProbeResult, Target
from workspaces import audit
from workspaces.access import Access, staff_access
from workspaces.models import Role, User, Workspace

__all__ = ["CallFailed", "ProbeResult"]

Actor = Access | User  # a member (or token) acting in a workspace, or site staff acting in the admin
SECRETS = ("api_key", "headers")
HEALTH = tuple(field.name for field in Probed._meta.fields)
CONCERNS_PROVIDER = frozenset({"unauthorized", "timeout", "connection", "certificate", "blocked"})
MAX_REGISTERED_AT_ONCE = 500
NO_ENDPOINT = "This model is registered by name only: it has no endpoint to test."


# Providers


@transaction.atomic
def provider_save(
    actor: Actor, provider: Provider, *, api_key: str = "", headers: str = "", forget: Collection[str] = ()
) -> list[str]:
    """Saves the provider as its attributes say. Secrets are given apart: an empty one keeps what is
    stored, `forget` names those to remove. A stored secret goes with the scheme, host and port that it
    was given for. Returns the names of those that were cleared. Raises ValidationError."""
    _may_change(actor, provider.workspace)
    stored = Provider.objects.select_for_update().filter(pk=provider.pk).first() if provider.pk else None
    given = {"api_key": api_key.strip(), "headers": headers.strip()}
    moved = stored is not None and rules.origin_of(stored.base_url) != rules.origin_of(provider.base_url)
    cleared = []
    for name in SECRETS:
        kept = getattr(stored, name) if stored else Secret()
        drop = moved or name in forget
        if drop and kept and not given[name]:
            cleared.append(name)
        setattr(provider, name, Secret(given[name]) if given[name] or drop else kept)
    rules.check_key(given["api_key"])
    rules.check_headers(given["headers"])
    if stored and (moved or any(given.values()) or cleared):
        _forget_health(provider)
    provider.full_clean(exclude=SECRETS)
    _save(provider, is_new=stored is None)
    changed = _changed(stored, provider) + [f"{name} set" for name in SECRETS if given[name]]
    changed += [f"{name} cleared" for name in cleared]
    _note(actor, provider.workspace, _verb("provider", stored), provider.name, changed=changed)
    return cleared


@transaction.atomic
def provider_delete(actor: Actor, provider: Provider) -> None:
    """Its models go with it; runs keep their results and the model's name."""
    _may_change(actor, provider.workspace)
    models = provider.registered_models.count()
    _note(actor, provider.workspace, "provider.delete", provider.name, models=models)
    provider.delete()


def provider_probe(actor: Actor, provider: Provider) -> ProbeResult:
    return providers_probe(actor, [provider])[0]


def providers_probe(actor: Actor, providers: Sequence[Provider]) -> list[ProbeResult]:
    """A tiny completion of each provider's first active model, else its list of models; stores health.
    Calls out: not inside a transaction."""
    for provider in providers:
        _may_probe(actor, provider.workspace_id)
    firsts: dict[int, RegisteredModel] = {}
    rows = RegisteredModel.objects.filter(provider__in=providers, is_active=True).order_by("-pk")
    firsts.update((row.provider_id, row) for row in rows if row.provider_id)
    results = _ask([(provider, firsts.get(provider.pk)) for provider in providers])
    for provider, result in zip(providers, results, strict=True):
        _store_health(provider, result)
        if first := firsts.get(provider.pk):
            _store_health(first, result)
    return results


def endpoint_models(provider: Provider) -> list[str]:
    """The names that the endpoint lists. Calls out: not inside a transaction. Raises CallFailed."""
    try:
        return probes.model_names(Endpoint.of(provider))
    except UndecryptableSecret as error:
        raise CallFailed("bad_request", str(error))


# Models


@transaction.atomic
def model_save(actor: Actor, model: RegisteredModel) -> None:
    """Raises ValidationError."""
    _may_change(actor, model.workspace)
    stored = RegisteredModel.objects.select_for_update().filter(pk=model.pk).first() if model.pk else None
    if stored and (stored.provider_id, stored.name) != (model.provider_id, model.name):
        _forget_health(model)
    model.full_clean()
    _save(model, is_new=stored is None)
    _note(actor, model.workspace, _verb("model", stored), model.title, changed=_changed(stored, model))


@transaction.atomic
def model_delete(actor: Actor, model: RegisteredModel) -> None:
    """Runs keep their results and the model's name."""
    _may_change(actor, model.workspace)
    _note(actor, model.workspace, "model.delete", model.title)
    model.delete()


@transaction.atomic
def set_active(actor: Actor, rows: Iterable[Provider | RegisteredModel], *, active: bool) -> int:
    """Activates or deactivates; how many changed."""
    changed = [row for row in rows if row.is_active != active]
    for row in changed:
        _may_change(actor, row.workspace)
        row.is_active = active
        row.save(update_fields=["is_active"])
        noun = "provider" if isinstance(row, Provider) else "model"
        _note(actor, row.workspace, f"{noun}.{'activate' if active else 'deactivate'}", str(row))
    return len(changed)


@transaction.atomic
def models_register(
    actor: Actor, provider: Provider, names: Iterable[str], *, source: Source | None = None
) -> list[RegisteredModel]:
    """Registers these names at the provider, for whom the provider is there for; known ones stay as
    they are. Returns the new ones. Raises ValidationError."""
    _may_change(actor, provider.workspace)
    known = set(provider.registered_models.values_list("name", flat=True))
    chosen = source or (Source.EXTERNAL if provider.workspace_id else Source.PLATFORM)
    new = [name for name in dict.fromkeys(names) if name not in known][:MAX_REGISTERED_AT_ONCE]
    made = []
    for name in new:
        model = RegisteredModel(workspace=provider.workspace, provider=provider, name=name, source=chosen)
        model.full_clean()
        model.save(force_insert=True)
        made.append(model)
    if made:
        _note(
            actor, provider.workspace, "model.register", provider.name, names=[model.name for model in made]
        )
    return made


def model_probe(actor: Actor, model: RegisteredModel) -> ProbeResult:
    return models_probe(actor, [model])[0]


def models_probe(actor: Actor, models: Sequence[RegisteredModel]) -> list[ProbeResult]:
    """A tiny completion or embedding each, at once; stores health. Calls out: not inside a transaction."""
    for model in models:
        _may_probe(actor, model.workspace_id)
    callable_ones = [(model.provider, model) for model in models if model.provider]
    results = dict(zip((model.pk for _, model in callable_ones), _ask(callable_ones), strict=True))
    for provider, model in callable_ones:
        result = results[model.pk]
        _store_health(model, result)
        if result.success or result.kind in CONCERNS_PROVIDER:
            _store_health(provider, result)
    nothing = ProbeResult(success=False, kind="bad_request", message=NO_ENDPOINT)
    return [results.get(model.pk, nothing) for model in models]


@transaction.atomic
def model_by_name_only(access: Access, name: str) -> RegisteredModel:
    """The workspace's model of that name without an endpoint; made on first use."""
    found = RegisteredModel.objects.filter(workspace=access.workspace, provider=None, name=name).first()
    if found:
        return found
    model = RegisteredModel(workspace=access.workspace, name=name, source=Source.NAME_ONLY)
    model.full_clean()
    model.save(force_insert=True)
    audit.record(access, "model.create", name, source=Source.NAME_ONLY.value)
    return model


@transaction.atomic
def external_model(
    access: Access, *, base_url: str, name: str, api_key: str = "", concurrency: int | None = None
) -> RegisteredModel:
    """The workspace's model at this address; provider and model are made on first use, and the provider
    takes over a key or concurrency that is given. Raises ValidationError."""
    if not access.can(Role.OWNER):
        raise PermissionDenied("Registering an endpoint is up to the workspace's owners.")
    address = base_url.strip().rstrip("/")
    provider = Provider.objects.filter(workspace=access.workspace, base_url=address).order_by("pk").first()
    wanted = concurrency or (provider.concurrency if provider else 16)
    if provider is None or wanted != provider.concurrency or api_key or not provider.is_active:
        provider = provider or Provider(
            workspace=access.workspace, base_url=address, name=_free_name(access.workspace, address)
        )
        provider.concurrency, provider.is_active = wanted, True
        provider_save(access, provider, api_key=api_key)
    model = RegisteredModel.objects.filter(workspace=access.workspace, provider=provider, name=name).first()
    if model is None:
        model = models_register(access, provider, [name])[0]
    elif not model.is_active:
        set_active(access, [model], active=True)
    return model


def _free_name(workspace: Workspace, address: str) -> str:
    host = (urlsplit(address).netloc or "endpoint").rpartition("@")[2][:70]
    taken = set(
        Provider.objects.filter(workspace=workspace, name__startswith=host).values_list("name", flat=True)
    )
    return next(
        name for name in (host, *(f"{host} {n}" for n in range(2, len(taken) + 3))) if name not in taken
    )


# Who may, what is noted, what is kept of a probe


def _may_change(actor: Actor, workspace: Workspace | None) -> None:
    """Site staff everywhere; a workspace's owner, or the system for it, in that workspace."""
    if isinstance(actor, User):
        if not (actor.is_active and actor.is_staff):
            raise PermissionDenied("Site staff only.")
    elif workspace is None or workspace.pk != actor.workspace.pk or not actor.can(Role.OWNER):
        raise PermissionDenied("Providers and models are registered by site staff.")


def _may_probe(actor: Actor, workspace_id: int | None) -> None:
    """Site staff; editors for what their workspace sees."""
    if isinstance(actor, User):
        _may_change(actor, None)
    elif workspace_id not in (None, actor.workspace.pk) or not actor.can_edit:
        raise PermissionDenied("Testing a connection needs the role editor.")


def _note(actor: Actor, workspace: Workspace | None, action: str, target: str, **detail: Any) -> None:
    if isinstance(actor, Access):
        audit.record(actor, action, target, **detail)
    elif workspace is not None:
        audit.record(staff_access(actor, workspace), action, target, **detail)
    else:
        audit.record_site(actor, action, target, **detail)


def _verb(noun: str, stored: object) -> str:
    return f"{noun}.{'create' if stored is None else 'update'}"


def _editable(row: Provider | RegisteredModel) -> list[str]:
    return [field.attname for field in row._meta.concrete_fields if field.editable and not field.primary_key]


def _save(row: Provider | RegisteredModel, *, is_new: bool) -> None:
    row.save(force_insert=True) if is_new else row.save(update_fields=[*_editable(row), *HEALTH])


def _changed(stored: Provider | RegisteredModel | None, row: Provider | RegisteredModel) -> list[str]:
    """Names of the fields that differ; never a value, and secrets not at all."""
    if stored is None:
        return []
    names = [name for name in _editable(row) if name not in SECRETS]
    return [name for name in names if getattr(stored, name) != getattr(row, name)]


def _forget_health(row: Probed) -> None:
    row.health, row.health_detail = Health.UNKNOWN, ""
    row.health_checked_at = row.health_latency_ms = None


def _ask(pairs: Sequence[tuple[Provider, RegisteredModel | None]]) -> list[ProbeResult]:
    """One result a pair. A secret that cannot be decrypted is a result too."""
    results: dict[int, ProbeResult] = {}
    targets: dict[int, Target] = {}
    for at, (provider, model) in enumerate(pairs):
        try:
            endpoint = Endpoint.of(provider)
        except UndecryptableSecret as error:
            results[at] = ProbeResult(success=False, kind="bad_request", message=str(error))
            continue
        targets[at] = (
            Target(endpoint, model.name, model.default_params, model.embeds) if model else Target(endpoint)
        )
    results.update(zip(targets, probes.probe_all(list(targets.values())), strict=True))
    return [results[at] for at in range(len(pairs))]


def _store_health(row: Provider | RegisteredModel, result: ProbeResult) -> None:
    row.health = Health.OK if result.success else Health.FAILING
    row.health_checked_at = result.checked_at
    row.health_latency_ms = result.latency_ms if result.success else None
    row.health_detail = result.detail[:500]
    row.save(update_fields=HEALTH)
