"""Pushing to a workspace's webhook: signed, sent again, within the outbound policy, shown."""

import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from datasets.models import DatasetVersion
from runs.models import Run, Trial, TrialState
from runs.selectors import TrialFilter
from runs.services import Launch, launch, misses
from tests.webhooks.conftest import Receiver
from webhooks import sending, services
from webhooks.models import Delivery, DeliveryState, Webhook
from webhooks.sending import PAUSES, deliveries_due, delivery_send, link_of, old_remove
from workspaces.access import Access, access_for
from workspaces.models import AuditEvent, User, Workspace
from workspaces.services import Refused

pytestmark = pytest.mark.django_db
Clients = Callable[[User], Client]
PORTAL = "http://testserver/"
LINES = ['{"messages": []}\n', '{"messages": [1]}\n']


@pytest.fixture
def owning(alpha: Workspace, owner: User) -> Access:
    return access_for(owner, "alpha")


def set_up(owning: Access, receiver: Receiver, *, sends_link: bool = False) -> str:
    return services.webhook_save(owning, url=receiver.url, sends_link=sends_link)


def pushed(owning: Access, **values: Any) -> Delivery:
    known = {"event": "misses.push", "subject": "run 7", "about": {"run": 7}, "filename": "run-7.jsonl"}
    return services.push(owning, **(known | {"lines": LINES, "base_url": PORTAL} | values))


def sent(delivery: Delivery) -> Delivery:
    """The delivery after one more attempt, as if its time had come."""
    Delivery.objects.filter(pk=delivery.pk).update(next_at=timezone.now())
    delivery_send(delivery.pk)
    delivery.refresh_from_db()
    return delivery


def test_the_lines_arrive_signed_with_their_origin(receiver: Receiver, owning: Access) -> None:
    secret = set_up(owning, receiver)
    delivery = sent(pushed(owning))
    assert (delivery.state, delivery.status_code, delivery.attempts) == (DeliveryState.DELIVERED, 200, 1)
    ((path, headers, body),) = receiver.got
    seconds, _, given = headers["evalportal-signature"].removeprefix("t=").partition(",v1=")
    expected = hmac.new(secret.encode(), f"{seconds}.".encode() + body, sha256).hexdigest()
    assert (path, given) == ("/hook", expected)
    told = json.loads(body)
    assert told["file"]["text"] == "".join(LINES)
    assert told["file"]["sha256"] == sha256("".join(LINES).encode()).hexdigest()
    assert (told["event"], told["workspace"], told["about"]) == ("misses.push", "alpha", {"run": 7})
    assert headers["evalportal-delivery"] == told["delivery"] == delivery.token
    delivery_send(delivery.pk)
    assert len(receiver.got) == 1


def test_a_link_is_open_for_a_day(receiver: Receiver, owning: Access, settings: Any) -> None:
    set_up(owning, receiver, sends_link=True)
    sent(pushed(owning))
    told = json.loads(receiver.got[0][2])["file"]
    assert "text" not in told and told["url"].startswith(PORTAL)
    path = told["url"].removeprefix(PORTAL.rstrip("/"))
    answer = Client().get(path)
    assert b"".join(answer.streaming_content).decode() == "".join(LINES)
    assert "attachment" in answer["Content-Disposition"]
    changed = path[:-2] + ("A" if path[-2] != "A" else "B") + "/"
    assert Client().get(changed).status_code == 404
    Delivery.objects.get().path.unlink()
    assert Client().get(path).status_code == 404


def test_what_fails_is_tried_again_then_given_up(receiver: Receiver, owning: Access) -> None:
    set_up(owning, receiver)
    receiver.answers = [500] * 20
    delivery = pushed(owning)
    for number in range(1, len(PAUSES) + 1):
        sent(delivery)
        assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, number)
        assert delivery.next_at > timezone.now() and not deliveries_due()
    assert sent(delivery).state == DeliveryState.FAILED
    assert delivery.problem == "The address answered 500."
    receiver.answers = []
    services.delivery_repeat(owning, delivery)
    assert deliveries_due() == [delivery.pk]
    assert sent(delivery).state == DeliveryState.DELIVERED


@pytest.mark.parametrize("status", [302, 400, 410])
def test_a_refusal_ends_it_and_no_redirect_is_followed(
    receiver: Receiver, owning: Access, status: int
) -> None:
    set_up(owning, receiver)
    receiver.answers = [status]
    assert sent(pushed(owning)).state == DeliveryState.FAILED
    assert len(receiver.got) == 1


def test_private_addresses_are_the_operators_to_allow(
    receiver: Receiver, owning: Access, settings: Any
) -> None:
    settings.OUTBOUND_ALLOW = []
    set_up(owning, receiver)
    delivery = sent(pushed(owning))
    assert (delivery.state, receiver.got) == (DeliveryState.FAILED, [])
    assert "private" in delivery.problem


def test_a_dead_address_is_tried_later(receiver: Receiver, owning: Access) -> None:
    set_up(owning, receiver)
    Webhook.objects.update(url="http://127.0.0.1:9/hook")
    delivery = sent(pushed(owning))
    assert (delivery.state, delivery.status_code) == (DeliveryState.WAITING, None)
    assert "could not be reached" in delivery.problem


def test_a_worker_that_died_gives_its_delivery_back(receiver: Receiver, owning: Access) -> None:
    set_up(owning, receiver)
    delivery = pushed(owning)
    Delivery.objects.filter(pk=delivery.pk).update(attempts=1, next_at=timezone.now() + timedelta(minutes=2))
    assert not deliveries_due()
    delivery_send(delivery.pk)
    assert not receiver.got
    assert sent(delivery).state == DeliveryState.DELIVERED
    deadly = pushed(owning)
    Delivery.objects.filter(pk=deadly.pk).update(attempts=len(PAUSES) + 1)
    assert sent(deadly).state == DeliveryState.FAILED and "lost each time" in deadly.problem
    assert len(receiver.got) == 1


@pytest.mark.parametrize("url", ["https://xn--/hook", "http://a\\b/hook"])
def test_what_is_no_address_ends_it(owning: Access, url: str) -> None:
    services.webhook_save(owning, url=url, sends_link=False)
    delivery = sent(pushed(owning))
    assert (delivery.state, delivery.problem) == (DeliveryState.FAILED, "This is no web address.")


def test_a_large_file_of_a_link_is_not_sent_as_lines(
    receiver: Receiver, owning: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(owning, receiver, sends_link=True)
    delivery = pushed(owning)
    set_up(owning, receiver)
    monkeypatch.setattr(sending, "MOST_IN_BODY", 20)
    assert sent(delivery).state == DeliveryState.FAILED
    assert "larger" in delivery.problem and not receiver.got


def test_the_secret_is_sealed_and_belongs_to_the_host(receiver: Receiver, owning: Access) -> None:
    secret = set_up(owning, receiver)
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM webhooks_webhook")
        assert secret not in cursor.fetchone()[0]
    assert services.webhook_save(owning, url=f"{receiver.url}/other", sends_link=True) == ""
    assert Webhook.objects.get().secret.reveal() == secret
    other = services.webhook_save(owning, url="https://hooks.example.com/x", sends_link=True)
    assert other and other != secret
    assert services.webhook_renew(owning) not in (other, secret)
    assert secret not in json.dumps([*AuditEvent.objects.values_list("detail", flat=True)])


@pytest.mark.parametrize("url", ["ftp://x.example.com/", "https://name:pw@x.example.com/", "x", "http://"])
def test_bad_addresses_are_refused(owning: Access, url: str) -> None:
    with pytest.raises(Refused):
        services.webhook_save(owning, url=url, sends_link=False)


def test_nothing_is_kept_of_what_cannot_be_pushed(
    receiver: Receiver, owning: Access, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    with pytest.raises(Refused, match="No webhook"):
        pushed(owning)
    set_up(owning, receiver)
    with pytest.raises(Refused, match="nothing"):
        pushed(owning, lines=[])
    monkeypatch.setattr(services, "MOST_IN_BODY", 20)
    with pytest.raises(Refused, match="larger"):
        pushed(owning)
    assert not Delivery.objects.exists()
    assert not [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]


def test_old_files_and_rows_go(receiver: Receiver, owning: Access) -> None:
    set_up(owning, receiver)
    delivery = sent(pushed(owning))
    old_remove()
    assert delivery.path.exists()
    Delivery.objects.update(ended_at=timezone.now() - timedelta(days=31))
    old_remove()
    assert not Delivery.objects.exists()
    services.webhook_remove(owning)
    assert not Webhook.objects.exists()


# The pages and the API


def test_owners_set_it_and_see_what_was_delivered(
    receiver: Receiver, owning: Access, owner: User, editor: User, client_of: Clients
) -> None:
    client, url = client_of(owner), "/w/alpha/settings/webhook/"
    assert "No webhook" in client.post(f"{url}try/").content.decode()
    page = client.post(url, {"url": receiver.url, "sends": "lines"}).content.decode()
    secret = Webhook.objects.get().secret.reveal()
    assert secret in page
    assert secret not in client.get(url).content.decode()
    assert client.post(url, {"url": "x"}).status_code == 422
    client.post(f"{url}try/")
    delivery = sent(Delivery.objects.get())
    assert json.loads(receiver.got[0][2])["event"] == "ping"
    assert "Delivered" in client.get(url).content.decode()
    fragment = client_of(editor).get(f"{url}deliveries/{delivery.pk}/").content.decode()
    assert "answered 200" in fragment and "hx-trigger" not in fragment
    assert AuditEvent.objects.filter(action="webhook.push").count() == 1


def test_misses_are_pushed_from_the_page_and_the_api(
    receiver: Receiver, owning: Access, editor: User, client_of: Clients, dataset: Any
) -> None:
    version: DatasetVersion = dataset(3)
    wish = Launch(
        dataset_version_id=version.pk, recorded_names=["Site"], responses="by_hand",
        scorers=[{"key": "numeric"}],
    )  # fmt: skip
    run: Run = launch(owning, wish).runs.get()
    run.trials.filter(seq__lte=2).update(state=TrialState.DONE, passed=False)
    url, client = f"/w/alpha/runs/{run.pk}/misses/", client_of(editor)
    assert "No webhook is set" in client.get(url).content.decode()
    assert client.post(url, {"to": "webhook"}).status_code == 422
    set_up(owning, receiver)
    assert client.post(url, {"to": "webhook"}).status_code == 302
    delivery = sent(Delivery.objects.get())
    told = json.loads(receiver.got[0][2])
    assert told["about"]["run"] == run.pk and "must not be measured" in told["about"]["warning"]
    lines = [json.loads(line) for line in told["file"]["text"].splitlines()]
    assert [line["messages"][-1]["role"] for line in lines] == ["assistant", "assistant"]
    assert "Delivered" in client.get(url).content.decode()
    space = {"X-Workspace": "alpha"}
    answer = client.post(
        f"/api/v1/runs/{run.pk}/misses", {"to": "webhook"}, content_type="application/json", headers=space
    )
    assert answer.status_code == 201, answer.content
    row = client.get(f"/api/v1/webhook/deliveries/{answer.json()['delivery_id']}", headers=space).json()
    assert (row["state"], row["filename"]) == ("waiting", delivery.filename)
    found = client.get(f"/api/v1/runs/{run.pk}/misses", headers=space).json()
    assert (found["items"], found["without_reference"]) == (2, 0)
    chat = client.get(f"/api/v1/runs/{run.pk}/misses/chat", headers=space)
    assert len(b"".join(chat.streaming_content).splitlines()) == 2
    made = client.post(
        f"/api/v1/runs/{run.pk}/misses", {"to": "dataset", "name": "Missed"},
        content_type="application/json", headers=space,
    )  # fmt: skip
    assert DatasetVersion.objects.get(pk=made.json()["version_id"]).item_count == 2
    none = TrialFilter(verdict="errored")
    with pytest.raises(Refused):
        misses.misses_push(owning, run, none, base_url=PORTAL)
    assert Trial.objects.filter(run=run).count() == 3


def test_the_api_sets_the_webhook(owning: Access, owner: User, client_of: Clients) -> None:
    client, space = client_of(owner), {"X-Workspace": "alpha"}
    assert client.get("/api/v1/webhook", headers=space).status_code == 404
    put = client.put(
        "/api/v1/webhook", {"url": "https://hooks.example.com/x"}, content_type="application/json",
        headers=space,
    )  # fmt: skip
    assert put.json()["secret"].startswith("whsec_")
    assert client.get("/api/v1/webhook", headers=space).json()["secret"] == ""
    assert client.delete("/api/v1/webhook", headers=space).status_code == 204


def test_a_link_names_its_delivery(receiver: Receiver, owning: Access) -> None:
    set_up(owning, receiver)
    assert pushed(owning).token in link_of(Delivery.objects.get())
