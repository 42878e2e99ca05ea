"""Context documents as text: plain text, Markdown, HTML and PDF, in limits.

HTML and PDF are read by a process of their own, which may use so much memory and time and no more:
what a file unpacks to cannot be known beforehand.
"""

import io
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import PurePath

from datasets.importers.encodings import encoding_of

MOST_DOCUMENTS = 50
MOST_BYTES = 20 << 20  # of one
MOST_TOGETHER = 100 << 20
MOST_CHARACTERS = 2_000_000  # of one
MOST_PAGES = 2_000
MOST_SECONDS = 5  # of processor time; by the clock thrice as long
MOST_MEMORY = 512 << 20
TEXT, MARKED = (".txt", ".text", ".md", ".markdown", ".rst"), (".html", ".htm", ".xhtml")
ENDINGS = (*TEXT, *MARKED, ".pdf")

# Reads the bytes on its input, prints {"text": …} or {"problem": …}.
PROGRAM = """
import io, json, re, resource, sys
memory, seconds, characters, pages = map(int, sys.argv[2:6])
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
data = sys.stdin.buffer.read()

def of_pdf():
    import pypdf
    reader = pypdf.PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        return {"problem": "it is locked by a password"}
    if len(reader.pages) > pages:
        return {"problem": f"it has more than {pages:,} pages"}
    texts, size = [], 0
    for page in reader.pages:
        texts.append(page.extract_text() or "")
        size += len(texts[-1])
        if size > characters:
            return {"problem": f"its text is longer than {characters:,} characters"}
    text = "\\n\\n".join(texts)
    return {"text": text} if text.strip() else {"problem": "it holds no text; scanned pages are pictures"}

BLOCKS = set("address article aside blockquote body caption dd details div dl dt figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hr html li main nav ol p pre section summary table tbody tfoot thead tr "
    "ul".split())
BREAKS = {"br": "\\n", "td": " ", "th": " "}
SILENT = set("head script style template noscript svg math iframe object select button textarea nav".split())

def of_html():
    from lxml import etree, html
    parser = html.HTMLParser(remove_comments=True, remove_pis=True, no_network=True)
    tree = html.document_fromstring(data.decode("utf-8", "replace"), parser=parser)
    out, silent = [], 0
    for event, node in etree.iterwalk(tree, events=("start", "end")):
        tag = node.tag if isinstance(node.tag, str) else ""
        if event == "start":
            silent += tag in SILENT
            if not silent:
                out.append("\\n\\n" if tag in BLOCKS else BREAKS.get(tag, ""))
                out.append(re.sub(r"\\s+", " ", node.text or "") if tag != "pre" else node.text or "")
        else:
            silent -= tag in SILENT
            if not silent:
                out.append("\\n\\n" if tag in BLOCKS else "")
                out.append(re.sub(r"\\s+", " ", node.tail or ""))
    text = re.sub(r" *\\n[ \\n]*\\n *", "\\n\\n", "".join(out)).strip()
    return {"text": text} if text else {"problem": "it holds no text"}

try:
    answer = of_pdf() if sys.argv[1] == "pdf" else of_html()
except MemoryError:
    answer = {"problem": "it unpacks to more than fits into memory"}
except RecursionError:
    answer = {"problem": "it is nested too deeply"}
except Exception as error:
    answer = {"problem": f"it cannot be read ({type(error).__name__})"}
print(json.dumps(answer))
"""


class BadDocument(ValueError):
    """A document cannot be used; the message says why."""


@dataclass(frozen=True)
class Document:
    """A document's text under the name it was uploaded with, without folders."""

    name: str
    text: str


def document_of(source_name: str, data: bytes) -> Document:
    """Reads a file by its ending. Raises BadDocument."""
    name = label_of(source_name)
    ending = PurePath(name).suffix.lower()
    if ending not in ENDINGS:
        raise BadDocument(f"its ending is none of {', '.join(ENDINGS)}")
    if len(data) > MOST_BYTES:
        raise BadDocument(f"it is larger than {MOST_BYTES >> 20} MB")
    if not data.strip():
        raise BadDocument("it is empty")
    if ending == ".pdf":
        text = _apart("pdf", data)
    else:
        decoded = _decoded(data)
        text = _apart("html", decoded.encode()) if ending in MARKED else decoded
    text = re.sub(r"[\0-\x08\x0b\x0c\x0e-\x1f]", "", re.sub(r"\r\n?", "\n", text)).strip()
    if not text:
        raise BadDocument("it holds no text")
    if len(text) > MOST_CHARACTERS:
        raise BadDocument(f"its text is longer than {MOST_CHARACTERS:,} characters")
    return Document(name, text.encode(errors="ignore").decode())


def label_of(source_name: str) -> str:
    """A file's name as a label, with its ending; never a path."""
    name = PurePath(source_name.replace("\\", "/")).name
    label = "".join(character for character in name if character.isprintable())
    return label if len(label) <= 120 else label[:100] + PurePath(label).suffix[:20]


def _decoded(data: bytes) -> str:
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadDocument("it is no text file")
    encoding = encoding_of(io.BytesIO(data))
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise BadDocument("its encoding is unknown; save it as UTF-8") from error


def _apart(kind: str, data: bytes) -> str:
    limits = [str(limit) for limit in (MOST_MEMORY, MOST_SECONDS, MOST_CHARACTERS, MOST_PAGES)]
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter, our own text)
            [sys.executable, "-I", "-c", PROGRAM, kind, *limits],
            input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=MOST_SECONDS * 3,
            env={}, check=False,
        )  # fmt: skip
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise BadDocument(f"reading it took more than {MOST_SECONDS} s or too much memory") from error
    if "text" not in answer:
        raise BadDocument(str(answer["problem"]))
    return str(answer["text"])
