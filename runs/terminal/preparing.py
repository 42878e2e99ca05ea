"""From the words of the command line to a launch: database, workspace, dataset version, model, scorers."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from datasets.models import DatasetVersion
from datasets.services import ImportProblems, version_import
from evalportal.lib import env
from evalportal.lib.plugins import PluginTable, UnknownPlugin
from judges.models import JudgeVersion
from judges.scorers import SCORERS
from judges.selectors import judges_of
from judges.templating import DEFAULT_TEMPLATE
from registry.models import RegisteredModel
from registry.selectors import models_for
from registry.services import external_model
from runs.models import Run
from runs.services import (
    BadCeilings,
    CannotDo,
    Launch,
    LaunchProblems,
    judges_named,
    launch,
    run_set_ceilings,
)
from runs.terminal import BadUsage
from runs.terminal.mapping import read_mapping, sample_of
from runs.variations import STRATEGIES
from workspaces.access import Access
from workspaces.models import Workspace

OWN_WORKSPACE = "terminal"
KEY_VARIABLE = "EVALPORTAL_API_KEY"
SHOWN_PROBLEMS = 10
CEILING_OPTIONS = {"cost_ceiling": "--max-cost", "token_ceiling": "--max-tokens"}
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The command line, read but not yet checked."""

    file: Path
    mapping: Sequence[str]
    base_url: str = ""
    model: str = ""
    scorers: Sequence[str] = ()
    scorer_options: Sequence[str] = ()
    judges: Sequence[str] = ()
    variations: Sequence[str] = ()
    variation_options: Sequence[str] = ()
    template: str = ""
    params: Sequence[str] = ()
    concurrency: int | None = None
    limit: int | None = None
    max_cost: Decimal | None = None
    max_tokens: int | None = None
    cache: bool = False
    dataset: str = ""
    api_key: str = ""
    on_progress: Callable[[int, int], None] | None = field(default=None, repr=False)


def ready_database(say: Say) -> None:
    """Creates the tables of an empty installation; never changes those of one that is in use."""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not missing:
        return
    if executor.loader.applied_migrations:
        raise BadUsage(
            "The database is older than this program: stop the portal and run `manage.py migrate`."
        )
    say("Setting up the database of a new installation …")
    call_command("migrate", interactive=False, verbosity=0)


def workspace_of(slug: str) -> Workspace:
    """The named one, the only one, or the terminal's own."""
    known = {workspace.slug: workspace for workspace in Workspace.objects.all()}
    if slug:
        if slug not in known:
            raise BadUsage(f"--workspace {slug}: there is none; {_near(slug, list(known))}")
        return known[slug]
    if not known:
        return Workspace.objects.create(slug=OWN_WORKSPACE, name="Terminal")
    if len(known) == 1:
        return next(iter(known.values()))
    if OWN_WORKSPACE in known:
        return known[OWN_WORKSPACE]
    raise BadUsage(f"--workspace: name one of {', '.join(known)}.")


def api_key_of(variable: str) -> str:
    """From the environment only: arguments can be read by every process of the machine."""
    key = env.text(variable or KEY_VARIABLE)
    if variable and not key:
        raise BadUsage(f"--api-key-env {variable}: that environment variable is empty.")
    return key


def launch_wish(access: Access, wish: Wish) -> Run:
    """Checks everything that needs no writing, imports the file or finds it, and launches."""
    scorers = [] if wish.judges and not wish.scorers else scorers_of(wish.scorers, wish.scorer_options)
    recorded = [pair for pair in wish.mapping if pair.startswith("response=")]
    if recorded and wish.base_url:
        raise BadUsage(
            "Either score recorded responses (--map response=…) or call a model (--base-url), not both."
        )
    if not recorded and not wish.model:
        raise BadUsage(
            "Say what answers: --map response=FIELD for recorded responses, or --base-url URL --model NAME, "
            "or --model NAME of a registered model."
        )
    mapping = read_mapping(wish.mapping, sample_of(wish.file), model=wish.model if recorded else "")
    judges = _judges(access, wish.judges)
    target = None if recorded else _target(access, wish)
    version = _version(access, wish, mapping)
    try:
        evaluation = launch(
            access,
            Launch(
                dataset_version_id=version.pk,
                model_ids=[target.pk] if target else [],
                recorded_names=[] if target else mapping.models,
                responses="fresh" if target else "recorded",
                scorers=scorers,
                judges=judges,
                variations=variations_of(wish.variations, wish.variation_options),
                template=_template(wish.template),
                params=_params(wish.params),
                concurrency=wish.concurrency,
                limit=wish.limit,
                cost_ceiling=wish.max_cost,
                token_ceiling=wish.max_tokens,
                cache=wish.cache,
            ),
        )
    except LaunchProblems as error:
        raise BadUsage(_listed(error)) from error
    return evaluation.runs.select_related("workspace").get(judged=None)


def _listed(error: LaunchProblems | BadCeilings) -> str:
    """The launch's fields under the names they have at the terminal."""
    names = {
        "scorers": "--scorer",
        "judges": "--judge",
        "variations": "--variation",
        "params": "--param",
        "model_ids": "--model",
        **CEILING_OPTIONS,
    }
    return "\n".join(
        f"{names.get(name, f'--{name}')}: {' '.join(texts)}" for name, texts in error.problems.items()
    )


def scorers_of(keys: Sequence[str], options: Sequence[str]) -> list[dict[str, Any]]:
    """Options without a prefix belong to the only scorer, `numeric.percent=no` to the named one."""
    if not keys:
        raise BadUsage(f"--scorer: name one of {', '.join(SCORERS)}.")
    return _plugins("scorer", SCORERS, keys, options)


def variations_of(keys: Sequence[str], options: Sequence[str]) -> list[dict[str, Any]]:
    """The same of variations; the text of the file after `@`."""
    found = _plugins("variation", STRATEGIES, keys, options)
    for each in found:
        for name, value in each["options"].items():
            each["options"][name] = _text_of("--variation-option", value)
    return found


def _plugins(
    flag: str, table: PluginTable, keys: Sequence[str], options: Sequence[str]
) -> list[dict[str, Any]]:
    chosen: dict[str, dict[str, Any]] = {key: {} for key in keys}
    for key in chosen:
        try:
            table[key]
        except UnknownPlugin as error:
            raise BadUsage(f"--{flag} {key}: {error}") from error
    for pair in options:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadUsage(f"--{flag}-option {pair}: write NAME=VALUE.")
        key, dot, rest = name.partition(".")
        if not dot and len(chosen) > 1:
            raise BadUsage(
                f"--{flag}-option {pair}: say whose: {' or '.join(f'{k}.{name}' for k in chosen)}."
            )
        owner = key if dot else next(iter(chosen), "")
        if owner not in chosen:
            raise BadUsage(f"--{flag}-option {pair}: --{flag} {owner} is not given.")
        chosen[owner][rest if dot else name] = value
    return [{"key": key, "options": values} for key, values in chosen.items()]


def _judges(access: Access, names: Sequence[str]) -> list[JudgeVersion]:
    try:
        return judges_named(access, names)
    except LaunchProblems as error:
        known = ", ".join(judge.name for judge in judges_of(access.workspace)) or "none"
        raise BadUsage(f"--judge: {' '.join(error.problems['judges'])} There are: {known}.") from error


def _target(access: Access, wish: Wish) -> RegisteredModel:
    if not wish.base_url:
        return registered_model(access, wish.model)
    try:
        return external_model(
            access,
            base_url=wish.base_url,
            name=wish.model,
            api_key=wish.api_key,
            concurrency=wish.concurrency,
        )
    except ValidationError as error:
        raise BadUsage(f"--base-url {wish.base_url}: {' '.join(error.messages)}") from error


def registered_model(access: Access, name: str) -> RegisteredModel:
    """One that can be called, by its name or alias. Raises BadUsage."""
    models = list(models_for(access.workspace).filter(provider__isnull=False))
    found = [model for model in models if name in (model.name, model.alias)]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadUsage(f"--model {name}: several providers have it; add --base-url, or use its alias.")
    names = sorted({model.name for model in models})
    hint = _near(name, names) if names else "none is registered; add --base-url URL."
    raise BadUsage(f"--model {name}: no such model in this workspace; {hint}")


def _version(access: Access, wish: Wish, mapping: Any) -> DatasetVersion:
    name = wish.dataset or wish.file.stem.replace("_", " ").replace("-", " ").strip()[:120] or "dataset"
    try:
        return version_import(
            access,
            path=wish.file,
            source_name=wish.file.name,
            dataset_name=name,
            mapping=mapping,
            note="imported at the terminal",
            on_progress=wish.on_progress,
        ).version
    except ImportProblems as error:
        shown = [f"  {problem}" for problem in error.problems[:SHOWN_PROBLEMS]]
        more = [f"  and {error.total - len(shown):,} more"] if error.total > len(shown) else []
        raise BadUsage("\n".join([f"{wish.file.name} can't be imported:", *shown, *more])) from error


def _template(text: str) -> str:
    """The template, or the text of the file after `@`."""
    return _text_of("--template", text) or DEFAULT_TEMPLATE


def _text_of(flag: str, text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadUsage(f"{flag} {text}: {error}") from error


def _params(pairs: Sequence[str]) -> Mapping[str, Any]:
    """`temperature=0` → {"temperature": 0}; values are JSON where they can be, else text."""
    params: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadUsage(f"--param {pair}: write NAME=VALUE, such as temperature=0.")
        try:
            params[name] = json.loads(value)
        except ValueError:
            params[name] = value
    return params


def _near(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=2, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known) or 'none'}."


def resumable_run(run_id: int, slug: str) -> Run:
    """The run to go on with. Raises BadUsage if there is none, or nothing is left to do."""
    run = Run.objects.select_related("workspace", "model__provider").filter(pk=run_id).first()
    if run is None or (slug and run.workspace.slug != slug):
        raise BadUsage(f"--resume {run_id}: there is no such run{f' in {slug}' if slug else ''}.")
    if run.is_finished and run.done == run.total:
        raise BadUsage(f"--resume {run_id}: the run is {run.status}; nothing is left to do.")
    return run


def renewed_key(access: Access, run: Run, api_key: str) -> None:
    """A key from the environment replaces the one of the workspace's own provider."""
    model = run.model
    if api_key and model and model.provider and model.provider.workspace_id == run.workspace_id:
        external_model(access, base_url=model.provider.base_url, name=model.name, api_key=api_key)


def raised_ceilings(access: Access, run: Run, cost: Decimal | None, tokens: int | None) -> None:
    """Before a run goes on. Raises BadUsage."""
    if cost is None and tokens is None:
        return
    try:
        run_set_ceilings(
            access, run, cost=cost or run.cost_ceiling, tokens=tokens or run.token_ceiling, resume=False
        )
    except BadCeilings as error:
        raise BadUsage(_listed(error)) from error
    except CannotDo as error:
        raise BadUsage(f"--max-cost, --max-tokens: {error}") from error
