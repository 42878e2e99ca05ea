"""Documents to text, text to passages, responses to drafts, near-duplicates: no database."""

import io
import json
import subprocess
import sys
import zlib

import pytest
from django.conf import settings as portal
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfWriter

from generation import documents
from generation.documents import BadDocument, document_of
from generation.duplicates import folded, nearest
from generation.parsing import drafts_in
from generation.passages import Passage, passages_of, shared_out
from generation.prompts import PROMPTS
from judges.templating import check_template, prompt_messages

GERMAN = "Größe und Straße, über Öfen und Bäume für alle"
HTML = b"""<!doctype html><html><head><title>no</title><style>p{}</style><script>alert("no")</script></head>
<body><nav>Menu</nav><h1>Rivers</h1><p>The <b>Danube</b>
 is long.</p><!-- no -->
<ul><li>Inn</li><li>Enns</li></ul><table><tr><td>1</td><td>2</td></tr></table></body>"""


def pdf(text: str, *, password: str = "") -> bytes:
    """One page with this line."""
    stream = f"BT /F1 12 Tf 10 100 Td ({text}) Tj ET".encode()
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R"
        b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    data, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        places.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"xref\n0 5\n0000000000 65535 f \n%strailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(data),
    )
    if not password:
        return data
    writer, out = PdfWriter(clone_from=io.BytesIO(data)), io.BytesIO()
    writer.encrypt(password)
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.txt", b"\xef\xbb\xbfOne\r\ntwo\x07", "One\ntwo"),
        ("../b/a.MD", b"# One", "# One"),
        ("a.txt", "One".encode("utf-16"), "One"),
        ("a.txt", GERMAN.encode("cp1252"), GERMAN),
        ("a.html", HTML, "Rivers\n\nThe Danube is long.\n\nInn\n\nEnns\n\n1 2"),
        ("a.pdf", pdf("Danube"), "Danube"),
    ],
    ids=["bom", "markdown", "utf-16", "cp1252", "html", "pdf"],
)  # fmt: skip
def test_documents_become_text(name: str, data: bytes, text: str) -> None:
    document = document_of(name, data)
    assert document.text == text and "/" not in document.name


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.exe", b"x", "ending"),
        ("a.txt", b"  ", "empty"),
        ("a.txt", b"PK\0\0", "no text file"),
        ("a.html", b"<script>x</script>", "no text"),
        ("a.html", b"<div>" * 300_000, "no text|read"),
        ("a.pdf", b"%PDF-1.7 broken", "cannot be read"),
        ("a.pdf", pdf("x", password="secret"), "password"),
        ("a.pdf", pdf(""), "holds no text"),
        ("a.txt", b"x" * (documents.MOST_CHARACTERS + 1), "longer"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(name: str, data: bytes, words: str) -> None:
    with pytest.raises(BadDocument, match=words):
        document_of(name, data)


def flate_bomb() -> bytes:
    """A page whose content stream unpacks to 1 GB; within the stream again, so that a megabyte suffices."""
    packer = zlib.compressobj(9)
    stream = b"".join(packer.compress(b"(x) Tj " * 150_000) for _ in range(1000)) + packer.flush()
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R>>"
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj" + page + b"endobj\n"
        b"4 0 obj<</Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream endobj\n"
        b"trailer<</Root 1 0 R>>" % (len(stream), stream)
    )


MEASURED = """
import json, resource, sys
from generation.documents import BadDocument, document_of
problem = text = ""
try:
    text = document_of(sys.argv[1], sys.stdin.buffer.read()).text
except BadDocument as refused:
    problem = str(refused)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
took_s = used.ru_utime + used.ru_stime
print(json.dumps(
    {"problem": problem, "characters": len(text), "took_s": took_s, "most_kib": used.ru_maxrss}
))
"""


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bomb.pdf", flate_bomb()),
        ("loop.pdf", b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids"
         b"[2 0 R 2 0 R]/Count 99>>endobj\ntrailer<</Root 1 0 R>>"),
        ("slow.pdf", pdf("x) Tj (" * 2_500_000)),
        ("deep.html", b"<div>" * 4_000_000),
        ("wide.html", b"<p>" + b"x<b>y</b>" * 2_300_000),
        ("table.html", b"<table><tr><td>" * 1_300_000),
        ("entities.html", b"<p>" + b"&amp;" * 4_000_000),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_hostile_documents_cost_5_s_and_512_mb_at_most(name: str, data: bytes) -> None:
    """Measured on the processes that read them; what is read after all is no longer than allowed.

    A process counts the memory of the one that began it as its own most, so a small one begins them here.
    """
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, name],
        input=data[: documents.MOST_BYTES], stdout=subprocess.PIPE, check=True, cwd=portal.BASE_DIR,
    )  # fmt: skip
    read = json.loads(done.stdout)
    assert read["problem"] or 0 < read["characters"] <= documents.MOST_CHARACTERS
    assert 0 < read["took_s"] < documents.MOST_SECONDS + 1, f"{read['took_s']:.1f} s"
    assert 0 < read["most_kib"] <= documents.MOST_MEMORY >> 10


def test_a_bomb_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_MEMORY", 120 << 20)
    with pytest.raises(BadDocument, match=r"memory|cannot be read"):
        document_of("a.html", b"<p>" + b"x<b>y</b>" * 1_500_000)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab. \n", max_size=2_000), st.integers(5, 200))
def test_passages_keep_every_word_within_their_size(text: str, most: int) -> None:
    passages = passages_of("d", text, most)
    assert all(0 < len(passage.text) <= most for passage in passages)
    assert [passage.number for passage in passages] == list(range(1, len(passages) + 1))
    joined = "".join("".join(passage.text.split()) for passage in passages)
    assert joined == "".join(text.split())


@pytest.mark.parametrize(("total", "wanted"), [(1, 7), (3, 3), (5, 12), (10, 3), (7, 1)])
def test_questions_are_shared_out_exactly(total: int, wanted: int) -> None:
    shared = shared_out([Passage("d", number, "x") for number in range(1, total + 1)], wanted)
    counts = [passage.count for passage in shared]
    assert sum(counts) == wanted and max(counts) - min(counts) <= 1 and min(counts) > 0
    assert len({passage.number for passage in shared}) == len(shared) == min(total, wanted)


ONE = {"question": "Q?", "reference": "R"}


@pytest.mark.parametrize(
    "response",
    [
        json.dumps([ONE]),
        json.dumps({"questions": [ONE]}),
        f"<think>[1] hm {{</think>\n```json\n{json.dumps([ONE])}\n```",
        f"Sure! [as you wish]\n{json.dumps(ONE)}\nBye {{}}",
        json.dumps([{"Query": "Q?", "Answer": ["R", "r"]}]),
        json.dumps([ONE])[:-1] + ', {"question": "cut o',
    ],
)
def test_drafts_are_found_whatever_stands_around_them(response: str) -> None:
    found, problem = drafts_in(response)
    assert [(draft.question, draft.reference) for draft in found] == [("Q?", "R")] and not problem


@pytest.mark.parametrize(
    ("response", "words"),
    [
        ("", "empty"),
        ("<think>on and on", "reasoning"),
        ("I cannot do that.", "no JSON"),
        ('[{"question": "Q?"}, {"question": "", "reference": "R"}]', "no question"),
        ('{"question": {}, "reference": true}', "no question"),
        ("[" * 50_000, "no JSON"),
    ],
)  # fmt: skip
def test_why_a_response_holds_no_draft_is_said(response: str, words: str) -> None:
    found, problem = drafts_in(response)
    assert not found and words in problem


def test_choices_come_along() -> None:
    row = ONE | {"choices": {"A": "R", "B": 2}}
    assert drafts_in(json.dumps([row]))[0][0].choices == ["R", "2"]


def test_near_duplicates_have_the_same_words() -> None:
    earlier = [folded("Where does the Rhine begin?"), folded("Who wrote Faust?")]
    assert nearest(folded("where does the Rhine BEGIN"), earlier) == (0, 100)
    found = nearest(folded("Where did the Rhine begin?"), earlier)
    assert found and found[0] == 0 and found[1] < 100
    assert nearest(folded("Where does the Danube end?"), earlier) is None
    assert nearest("x", []) is None


@pytest.mark.parametrize("key", PROMPTS)
def test_templates_ask_for_as_many_as_wanted(key: str) -> None:
    template = PROMPTS[key].template
    assert not check_template(template)
    context = {"input": "PASSAGE", "choices": [], "section": "a.md", "id": "a", "metadata": {"count": 4}}
    text = prompt_messages(template, context, None)[0]["content"]
    assert "PASSAGE" in text and "a.md" in text and "exactly 4" in text
