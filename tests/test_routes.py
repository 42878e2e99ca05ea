"""Every route declares who may use it, and keeps to it: anonymous, outsider, too low a role, foreign objects.

A new route needs nothing here if its parameters are of a kind listed in `sample_of`. If this file
fails with "no sample", add the route or its parameter there: an object of workspace alpha.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from PIL import Image
from rest_framework.permissions import SAFE_METHODS

from analysis.models import ReviewSample, SavedComparison
from benchmarks.models import BenchmarkEvaluation
from benchmarks.services import EvaluationWish, benchmark_create, task_create
from benchmarks.services.gates import gate_create
from benchmarks.wish import BenchmarkWish, PartWish
from datasets.assets import asset_store
from datasets.models import DatasetVersion, Upload
from generation.models import Generation
from generation.services import Wish, generation_begin
from judges.services import draft_of_rubric, judge_create
from registry.models import RegisteredModel
from runs.services import Launch, launch
from webhooks.models import Delivery
from webhooks.services import push, webhook_save
from workspaces import services
from workspaces.access import Access, access_for
from workspaces.api_base import DeclaredRole, needed_role
from workspaces.models import Membership, Role, User, Workspace

pytestmark = pytest.mark.django_db

# Views that others wrote. Their routes are tested for what they let anonymous visitors do.
THIRD_PARTY = (
    "allauth.",
    "django.contrib.admin.",
    "django.views.generic.base",
    "unfold.",
    "drf_spectacular.",
)
ROLES = {role.value for role in Role}


@dataclass(frozen=True)
class Route:
    name: str  # with its namespace
    pattern: str
    view: Callable[..., Any]
    params: tuple[str, ...]

    @property
    def declared(self) -> str:
        return getattr(self.view, "access_declared", "")

    @property
    def api_view(self) -> Any:
        """DRF's view class, for routes of the API."""
        return getattr(self.view, "cls", None)

    @property
    def third_party(self) -> bool:
        return (self.api_view or self.view).__module__.startswith(THIRD_PARTY)

    def __str__(self) -> str:
        return self.name or self.pattern


def routes_under(patterns: Any, prefix: str = "", spaces: tuple[str, ...] = ()) -> Iterator[Route]:
    for entry in patterns:
        whole = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = (*spaces, entry.namespace) if entry.namespace else spaces
            yield from routes_under(entry.url_patterns, whole, inner)
        elif isinstance(entry, URLPattern):
            own = entry.pattern.converters or entry.pattern.regex.groupindex
            params = ("slug", *own) if "<slug:slug>" in prefix else (*own,)
            yield Route(
                ":".join((*spaces, entry.name or "")), whole, entry.callback, tuple(dict.fromkeys(params))
            )


ALL = [*routes_under(get_resolver().url_patterns)]
ADMIN = [route for route in ALL if route.pattern.startswith("admin/")]
OURS = [route for route in ALL if route not in ADMIN and not route.third_party]
PAGES = [route for route in OURS if "slug" in route.params]
API = [route for route in OURS if route.api_view and hasattr(route.api_view, "roles")]
STAFF = [route for route in OURS if route.declared in ("staff", "monitor")]
EVERYWHERE = (  # name no object of a workspace
    "catalogue:import",
    "catalogue:prepare",
    "catalogue-entry",
    "catalogue-benchmark",
    "label-export",
)
PAGES_OF_OBJECTS = [route for route in PAGES if route.params != ("slug",) and route.name not in EVERYWHERE]
API_OF_OBJECTS = [route for route in API if route.params and route.name not in EVERYWHERE]
each_page = pytest.mark.parametrize("route", PAGES, ids=str)
each_api_route = pytest.mark.parametrize("route", API, ids=str)


# Samples: objects of workspace alpha that routes can point at


@pytest.fixture
def things(
    alpha: Workspace,
    beta: Workspace,
    owner: User,
    editor: User,
    viewer: User,
    outsider: User,
    dataset: Any,
    model: Any,
) -> SimpleNamespace:
    return things_in(access_for(editor, "alpha"), access_for(owner, "alpha"), viewer, dataset(3), model())


def things_in(
    held: Access, managing: Access, member: User, version: DatasetVersion, callable_model: RegisteredModel
) -> SimpleNamespace:
    """One object of every kind in a workspace, as an editor and an owner of it make them."""
    workspace, picture = held.workspace, BytesIO()
    Image.new("RGB", (2, 2)).save(picture, "PNG")
    scorers = [{"key": "numeric", "name": "numeric", "options": {}}]
    wish = Launch(dataset_version_id=version.pk, model_ids=[callable_model.pk], scorers=scorers)
    evaluation = launch(held, wish)
    website = Launch(
        dataset_version_id=version.pk, recorded_names=["Site"], responses="by_hand", scorers=scorers
    )
    run = evaluation.runs.get()
    judge = judge_create(held, draft_of_rubric(workspace, "correctness", model_ids=[callable_model.pk]))
    return SimpleNamespace(
        version=version, model=callable_model, evaluation=evaluation, run=run, judge=judge,
        by_hand=launch(held, website).runs.get(), generation=generation_of(held, callable_model.pk),
        sample=ReviewSample.objects.create(workspace=workspace, judge=judge.judge, run=run, size=1, seed=1),
        asset=asset_store(workspace, picture.getvalue()), membership=Membership.objects.get(user=member),
        upload=upload_of(held.user, workspace), own=upload_of(managing.user, workspace, "b" * 43),
        delivery=delivery_of(managing), mapping=workspace.saved_mappings.create(name="Kept"),
        subset=version.dataset.subsets.create(name="First", size=1),
        paraphrase=version.items.first().paraphrases.create(text="Or?", model_name="m", run_id=1, seq=1),
        saved=SavedComparison.objects.create(workspace=workspace, name="Kept", query="?runs=1,2"),
        invitation=services.invitation_create(managing, role=Role.VIEWER)[0],
        token=services.token_create(held, name="t", role=Role.EDITOR, expires_at=None)[0],
        benchmarked=benchmarked_of(held, version.pk, callable_model.pk),
    )  # fmt: skip


def delivery_of(held: Access) -> Delivery:
    webhook_save(held, url="https://hooks.example.com/x", sends_link=False)
    return push(held, event="ping", subject="a test", about={})


def benchmarked_of(held: Access, version_id: int, model_id: int) -> BenchmarkEvaluation:
    """An evaluation on a benchmark with a gate, made by a task."""
    parts = [PartWish(version_id=version_id, scorers=[{"key": "numeric"}])]
    benchmark = benchmark_create(held, BenchmarkWish(name="Sums", parts=parts))
    gate_create(held, benchmark, rule="triaged", options={})
    wishes = [EvaluationWish(model_id=model_id)]
    return task_create(held, benchmarks=[benchmark], wishes=wishes).evaluations.get()


def generation_of(held: Access, model_id: int) -> Generation:
    wish = Wish(name="Drafted", files=[("a.txt", b"Words.")], model_id=model_id)
    generation = generation_begin(held, wish)
    generation.drafts.create(number=1, question="Q?", reference="R", document="a.txt", passage=1, seq=1)
    return generation


def upload_of(person: User, workspace: Workspace, token: str = "a" * 43) -> Upload:
    upload = Upload.objects.create(
        workspace=workspace, created_by=person, token=token, source_name="x.csv", format="csv",
        size_bytes=13, mapping={"fields": [{"path": "prompt", "use": "prompt"}]},
    )  # fmt: skip
    upload.path.parent.mkdir(parents=True, exist_ok=True)
    upload.path.write_text("prompt\nWhat?\n")
    return upload


def sample_of(route: Route, param: str, things: SimpleNamespace) -> Any:
    """An existing value for a parameter: by route name and parameter, else by the first part of the name."""
    by_route = {
        "analysis:saved pk": things.saved.pk,
        "analysis:saved_delete pk": things.saved.pk,
        "analysis:judge_card pk": things.judge.judge_id,
        "analysis:corrected pk": things.run.pk,
        "analysis:agreement pk": things.run.pk,
        "workspaces:member_role pk": things.membership.pk,
        "workspaces:member_remove pk": things.membership.pk,
        "workspaces:invitation_revoke pk": things.invitation.pk,
        "workspaces:token_revoke pk": things.token.pk,
        "benchmarks:task pk": things.benchmarked.task_id,
        "benchmarks:task_download pk": things.benchmarked.task_id,
        "benchmarks:task_delete pk": things.benchmarked.task_id,
        "benchmarks:gate_delete pk": things.benchmarked.benchmark.gates.get().pk,
        "benchmarks:dataset_gates pk": things.version.dataset.pk,
        **{
            f"benchmarks:{name} pk": things.benchmarked.pk
            for name in (
                "evaluation",
                "evaluation_live",
                "evaluation_files",
                "evaluation_baseline",
                "evaluation_delete",
            )
        },
        **{f"datasets:{name} pk": things.upload.pk for name in ("map", "report", "progress", "cancel")},
    }
    by_area = {
        "benchmarks pk": things.benchmarked.benchmark_id,
        "benchmarks kind": "submission",
        "benchmark pk": things.benchmarked.benchmark_id,
        "benchmark_evaluation pk": things.benchmarked.pk,
        "gate pk": things.benchmarked.benchmark.gates.get().pk,
        "dataset_gates pk": things.version.dataset.pk,
        "datasets pk": things.version.dataset.pk,
        "datasets number": things.version.number,
        "datasets sha256": things.asset.sha256,
        "datasets key": "jsonl",
        "judges pk": things.judge.judge_id,
        "judges number": things.judge.number,
        "judge pk": things.judge.judge_id,
        "judge number": things.judge.number,
        "datasets position": 1,
        "datasets subset_id": things.subset.pk,
        "catalogue key": "gsm8k",
        "catalogue pk": things.upload.pk,
        "upload pk": things.own.pk,
        "mapping pk": things.mapping.pk,
        "dataset pk": things.version.dataset.pk,
        "dataset number": things.version.number,
        "dataset kind": "jsonl",
        "version pk": things.version.pk,
        "version kind": "jsonl",
        "subset pk": things.subset.pk,
        "registry pk": things.model.pk,
        "model pk": things.model.pk,
        "runs pk": things.run.pk,
        "runs version_id": things.version.pk,
        "generation version_id": things.version.pk,
        "runs item_id": things.version.items.first().pk,
        "runs kind": "jsonl",
        "run pk": things.run.pk,
        "run kind": "jsonl",
        "run run_id": things.run.pk,
        "evaluation pk": things.evaluation.pk,
        "sample pk": things.sample.pk,
        "label kind": "csv",
        "webhooks pk": things.delivery.pk,
        "webhook pk": things.delivery.pk,
        "trial run_id": things.run.pk,
        "trial seq": 1,
        "attempt run_id": things.run.pk,
        "answer run_id": things.by_hand.pk,
        "generation pk": things.generation.pk,
        "generation number": 1,
        "paraphrase version_id": things.version.pk,
        "paraphrase pk": things.paraphrase.pk,
    }
    area = route.name.replace(":", "-").split("-")[0]
    found = by_route.get(f"{route.name} {param}", by_area.get(f"{area} {param}"))
    if found is None:
        pytest.fail(
            f"no sample for parameter {param!r} of route {route.name!r} ({route.pattern}): "
            "add one to sample_of in tests/test_routes.py"
        )
    return found


def url_of(route: Route, things: SimpleNamespace, slug: str = "alpha") -> str:
    values = {param: sample_of(route, param, things) for param in route.params if param != "slug"}
    return reverse(route.name, kwargs=values | ({"slug": slug} if "slug" in route.params else {}))


def both(client: Client, url: str) -> set[int]:
    """What GET and POST answer, without the 405 of the one that the route does not serve."""
    client.raise_request_exception = False
    return {client.get(url).status_code, client.post(url).status_code} - {405}


# Declarations


@pytest.mark.parametrize("route", OURS, ids=str)
def test_route_declares_who_may_use_it(route: Route) -> None:
    if route.api_view is None or route.declared:
        known = ROLES if "slug" in route.params else {"public", "person", "staff", "monitor"}
        assert route.declared in known, (
            f"{route.name} ({route.pattern}) needs @access.requires(...) for a page of a workspace, "
            "@access.person, @access.staff, @access.monitor or @access.public for any other"
        )
        return
    assert DeclaredRole in route.api_view.permission_classes, f"{route.name} must keep DeclaredRole"
    for method, action in methods_of(route):
        assert needed_role_of(route, method) in Role, (
            f"{route.api_view.__name__} declares no role for {action or method}: add it to `roles`"
        )


def methods_of(route: Route) -> list[tuple[str, str]]:
    """(method, action) pairs that the route serves."""
    actions: dict[str, str] | None = getattr(route.view, "actions", None)
    if actions is not None:
        return [(method.upper(), action) for method, action in actions.items() if method != "head"]
    offered = ("get", "post", "put", "patch", "delete")
    return [(method.upper(), method) for method in offered if hasattr(route.api_view, method)]


def needed_role_of(route: Route, method: str) -> Role | None:
    action = dict(methods_of(route))[method]
    return needed_role(
        SimpleNamespace(method=method), SimpleNamespace(roles=route.api_view.roles, action=action)
    )  # type: ignore[arg-type]


def test_the_walk_finds_the_portal() -> None:
    found = {route.name for route in PAGES}
    assert {"workspaces:members", "datasets:list", "registry:models", "runs:board"} <= found
    assert "workspace" in {route.name for route in API}


def test_public_routes_are_few() -> None:
    """Each new one is a decision: it is open to the whole world."""
    public = {route.name for route in OURS if route.declared == "public"}
    assert public == {
        "healthz",
        "readyz",
        "workspaces:setup",
        "workspaces:join",
        "benchmark_public",
        "delivery_file",
    }


# Pages of the whole installation


@pytest.mark.parametrize("route", STAFF, ids=str)
def test_staff_pages_are_for_site_staff(route: Route, owner: User, staff: User, client_of: Any) -> None:
    url = reverse(route.name)
    assert both(client_of(owner), url) == {404}
    assert 200 in both(client_of(staff), url)
    anonymous = Client().get(url)
    if route.declared == "monitor":
        assert anonymous.status_code == 404
    else:
        assert anonymous["Location"].startswith("/accounts/login/")


# Pages of a workspace


@each_page
def test_anonymous_visitor_is_sent_to_the_login(route: Route, things: SimpleNamespace) -> None:
    url = url_of(route, things)
    answers = [answer for answer in (Client().get(url), Client().post(url)) if answer.status_code != 405]
    assert answers
    for answer in answers:
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/login/")


@each_page
def test_outsider_finds_nothing(
    route: Route, things: SimpleNamespace, outsider: User, client_of: Any
) -> None:
    assert both(client_of(outsider), url_of(route, things)) == {404}


@each_page
def test_too_low_a_role_is_refused(
    route: Route, things: SimpleNamespace, client_of: Any, viewer: User, editor: User
) -> None:
    below = [
        user
        for user, role in ((viewer, Role.VIEWER), (editor, Role.EDITOR))
        if not role.covers(Role(route.declared))
    ]
    for user in below:
        assert both(client_of(user), url_of(route, things)) == {403}, f"as {user}"


@pytest.mark.parametrize("route", PAGES_OF_OBJECTS, ids=str)
def test_objects_of_another_workspace_do_not_exist(
    route: Route, things: SimpleNamespace, outsider: User, client_of: Any
) -> None:
    assert both(client_of(outsider), url_of(route, things, slug="beta")) == {404}


@each_page
def test_sample_works_for_those_who_may(
    route: Route, things: SimpleNamespace, client_of: Any, editor: User, owner: User
) -> None:
    """Else the tests above would prove nothing: a sample that nobody finds is a 404 for everyone."""
    client = client_of(owner if route.declared == Role.OWNER else editor)
    answers = both(client, url_of(route, things))
    assert answers & {200, 204, 302, 422}, answers
    assert max(answers) < 500, answers


# The API


@pytest.fixture
def bearer(things: SimpleNamespace) -> Callable[..., Client]:
    def make(user: User, slug: str, role: Role) -> Client:
        _, secret = services.token_create(access_for(user, slug), name="t", role=role, expires_at=None)
        return Client(headers={"authorization": f"Bearer {secret}"}, raise_request_exception=False)

    return make


@each_api_route
def test_api_wants_a_token(route: Route, things: SimpleNamespace) -> None:
    for method, _ in methods_of(route):
        answer = Client().generic(method, url_of(route, things))
        assert answer.status_code == 401
        assert answer["Content-Type"] == "application/problem+json"


@each_api_route
def test_api_refuses_too_low_a_role(route: Route, things: SimpleNamespace, bearer: Any, viewer: User) -> None:
    client = bearer(viewer, "alpha", Role.VIEWER)
    for method, _ in methods_of(route):
        refused = (
            client.generic(method, url_of(route, things), content_type="application/json").status_code == 403
        )
        assert refused != Role.VIEWER.covers(needed_role_of(route, method) or Role.OWNER), method


@pytest.mark.parametrize("route", API_OF_OBJECTS, ids=str)
def test_api_hides_objects_of_another_workspace(
    route: Route, things: SimpleNamespace, bearer: Any, outsider: User
) -> None:
    client = bearer(outsider, "beta", Role.OWNER)
    for method, _ in methods_of(route):
        answer = client.generic(method, url_of(route, things), content_type="application/json")
        assert answer.status_code == 404, f"{method}: {answer.content[:200]!r}"


@each_api_route
def test_api_sample_is_found_by_those_who_may(
    route: Route, things: SimpleNamespace, bearer: Any, owner: User
) -> None:
    client = bearer(owner, "alpha", Role.OWNER)
    for method, _ in methods_of(route):
        if method in SAFE_METHODS:
            assert client.generic(method, url_of(route, things)).status_code == 200


# What others wrote


def test_third_party_routes_are_the_known_ones() -> None:
    found = {route.name for route in ALL if route.third_party and route not in ADMIN}
    assert {name for name in found if not name.startswith("account_")} == {"api-schema", "api-docs"}


@pytest.mark.parametrize("route", ADMIN, ids=str)
def test_admin_is_for_site_staff(route: Route, owner: User, client_of: Any) -> None:
    """Ids need not exist: who may not enter is turned away before anything is looked up."""
    path = "/" + route.pattern
    for param in route.params:
        path = path.replace(
            next(part for part in path.split("/") if f":{param}>" in part or f"<{param}>" in part), "1"
        )
    path = path.replace("^", "").replace("$", "")
    for method in ("get", "post"):
        answer = getattr(Client(), method)(path)
        assert answer.status_code == 302 and answer["Location"].startswith(("/accounts/login/", "/admin/")), (
            path
        )
        inside = getattr(client_of(owner), method)(path, follow=True)
        assert inside.status_code in (403, 404), path
