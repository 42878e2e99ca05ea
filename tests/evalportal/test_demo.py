"""The demo's dataset is sound, and its endpoint behaves as a real one would."""

import re
from collections import Counter

import httpx
import pytest

from datasets.images import from_data_url
from evalportal.demo import dataset, wire
from evalportal.demo.dataset import Question
from evalportal.demo.endpoint import BY_NAME, EMBEDDER, PERSONAS, DemoEndpoint, find, reply
from evalportal.demo.start import SCORER, TEMPLATE
from judges.scorers import build_scorer
from judges.scorers.base import Subject
from judges.templating import check_template, render


def prompt_of(question: Question) -> str:
    return render(TEMPLATE, {"input": question.text, "choices": list(question.choices)})


def passed(question: Question, response: str) -> bool | None:
    scorer = build_scorer(SCORER["key"], SCORER["options"])
    subject = Subject(
        response=response,
        references=[question.answer],
        choices=list(question.choices),
        prompt="",
        metadata={},
    )
    return scorer.score(subject).passed


def test_enough_items_in_sections_with_ids_and_pictures() -> None:
    records = dataset.records()
    sections = Counter(record["section"] for record in records)
    assert len(records) >= 120 and len(sections) >= 6
    assert min(sections.values()) >= 8
    assert len({record["id"] for record in records}) == len(records)
    assert len({record["question"] for record in records}) == len(records)
    assert sum("picture" in record for record in records) >= 8


def test_every_answer_fits_its_item() -> None:
    for record in dataset.records():
        name, answer = record["id"], record["answer"]
        if "choices" in record:
            assert answer in "ABCDEF"[: len(record["choices"])], name
            assert len(set(record["choices"])) == len(record["choices"]), name
        else:
            assert f"{float(answer):g}" == answer, name
            assert re.search(rf"(?<![\d.]){re.escape(answer)}(?!\d)", record["working"]), name
        if "picture" in record:
            assert from_data_url(record["picture"]).media_type == "image/png", name


def test_sums_in_the_workings_are_right() -> None:
    """Every `a × b = c` in a working holds."""
    number, signs = r"\d+(?:\.\d+)?", {"×": "*", "−": "-"}
    pattern = re.compile(rf"((?:{number} [×−+/] )+{number}) = ({number})")
    workings = [(record["id"], record["working"]) for record in dataset.records()]
    found = [(name, *sums) for name, working in workings for sums in pattern.findall(working)]
    assert len(found) >= 50
    for name, sums, result in found:
        computed = eval("".join(signs.get(letter, letter) for letter in sums))
        assert computed == pytest.approx(float(result)), f"{name}: {sums} is not {result}"


def test_template_is_accepted_and_finds_its_question() -> None:
    assert not check_template(TEMPLATE)
    assert all(find(prompt_of(question)) is question for question in dataset.questions())


def test_models_differ_in_skill_and_agree_with_themselves() -> None:
    def right(name: str) -> int:
        return sum(
            bool(passed(question, reply(BY_NAME[name], prompt_of(question), has_picture=True)))
            for question in dataset.questions()
        )

    shares = {persona.name: right(persona.name) / len(dataset.questions()) for persona in PERSONAS}
    assert shares["demo-small"] + 0.05 < shares["demo-medium"] < shares["demo-large"] - 0.05
    assert shares["demo-small"] > 0.4 and shares["demo-large"] < 1
    assert right("demo-small") == right("demo-small")


def test_a_wrong_answer_is_never_scored_right() -> None:
    for question in dataset.questions():
        response = reply(BY_NAME["demo-small"], prompt_of(question), has_picture=True)
        is_right = response == f"{question.working}\nANSWER: {question.answer}"
        assert passed(question, response) is is_right, response


def test_a_model_without_eyes_says_so() -> None:
    picture = next(question for question in dataset.questions() if question.needs_eyes)
    blind = reply(BY_NAME["demo-large"], prompt_of(picture), has_picture=False)
    assert "see the picture" in blind and not passed(picture, blind)


async def test_endpoint_streams_refuses_and_lists() -> None:
    server = await wire.serve(DemoEndpoint())
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    question = dataset.questions()[0]
    body = {"model": "demo-small", "messages": [{"role": "user", "content": question.text}], "stream": True}
    async with httpx.AsyncClient() as http:
        names = [entry["id"] for entry in (await http.get(f"{url}/models")).json()["data"]]
        answer = await http.post(f"{url}/chat/completions", json=body)
        unknown = await http.post(f"{url}/chat/completions", json=body | {"model": "gpt"})
        vectors = await http.post(f"{url}/embeddings", json={"model": EMBEDDER, "input": ["a", "b"]})
        refused = await http.post(f"{url}/embeddings", json={"model": "demo-small", "input": ["a"]})
        nonsense = await http.post(f"{url}/chat/completions", content=b"[]")
    server.close()
    assert names == [*BY_NAME, EMBEDDER]
    assert [row["index"] for row in vectors.json()["data"]] == [0, 1] and refused.status_code == 404
    assert answer.text.count('"content"') > 5 and answer.text.endswith("data: [DONE]\n\n")
    assert (unknown.status_code, nonsense.status_code) == (404, 400)
