"""The pack of a run as one page that is filled in without a network: prompts, style and script in a file.

It may run its own script and style, by their hashes, and nothing else: no address is ever asked.
"""

import base64
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import mark_safe

STYLES = ("tokens.css", "base.css", "components.css")
SCRIPT = "offline-pack.js"
UNSAFE = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def form_of(pack: Mapping[str, Any]) -> str:
    """A whole page with that pack, as `runs.packs.pack_of` makes it."""
    style, script = "".join(_text(name) for name in STYLES), _text(SCRIPT)
    data = json.dumps(pack, ensure_ascii=False).translate(UNSAFE)
    context = {
        "pack": {name: value for name, value in pack.items() if name != "rows"},
        "policy": f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}",
        "style": format_html("<{0}>{1}</{0}>", "style", mark_safe(style)),  # noqa: S308 (our own files)
        "script": format_html("<{0}>{1}</{0}>", "script", mark_safe(script)),  # noqa: S308
        "data": format_html(
            '<{0} type="application/json" id="pack">{1}</{0}>',
            "script",
            mark_safe(data),  # noqa: S308
        ),
    }
    return render_to_string("runs/pack_form.html", context)


def _text(name: str) -> str:
    return Path(str(finders.find(name))).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
