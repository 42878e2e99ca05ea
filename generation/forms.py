"""What was typed on the pages; `generation.services` decides what may be done."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from generation.documents import MOST_BYTES, MOST_DOCUMENTS, MOST_TOGETHER
from generation.passages import USUAL_PASSAGE
from generation.prompts import PROMPTS
from generation.services import Wish


class BeginForm(forms.Form):
    """The documents themselves come beside it, as several files of one field."""

    name = forms.CharField(max_length=120)
    model = forms.IntegerField()
    prompt = forms.ChoiceField(
        choices=[(key, prompt.title) for key, prompt in PROMPTS.items()], initial="facts", required=False
    )
    template = forms.CharField(required=False, strip=False)
    wanted = forms.IntegerField(initial=20, min_value=1)
    passage_characters = forms.IntegerField(initial=USUAL_PASSAGE, required=False, min_value=1)
    temperature = forms.FloatField(required=False)
    max_tokens = forms.IntegerField(required=False)
    cost_ceiling = forms.DecimalField(required=False, max_digits=14, decimal_places=4)
    token_ceiling = forms.IntegerField(required=False)

    def wish(self, files: Sequence[Any]) -> Wish:
        """After `is_valid`. An empty template is that of the chosen prompt."""
        data = self.cleaned_data
        params = {name: data[name] for name in ("temperature", "max_tokens") if data[name] is not None}
        return Wish(
            name=data["name"],
            files=contents(files),
            model_id=data["model"],
            template=template_of(data["prompt"], data["template"]),
            wanted=data["wanted"],
            passage_characters=data["passage_characters"] or USUAL_PASSAGE,
            params=params,
            cost_ceiling=data["cost_ceiling"],
            token_ceiling=data["token_ceiling"],
        )

    def add_problems(self, problems: Mapping[str, Sequence[str]]) -> None:
        for name, texts in problems.items():
            for text in texts:
                self.add_error(name if name in self.fields and not self.errors.get(name) else None, text)


def template_of(prompt: str, template: str) -> str:
    """What was typed, or the prompt's own where nothing was changed."""
    typed = template.replace("\r\n", "\n").strip()
    unchanged = not typed or typed in (each.template.strip() for each in PROMPTS.values())
    return PROMPTS[prompt or "facts"].template if unchanged else typed


def contents(files: Sequence[Any]) -> list[tuple[str, bytes]]:
    """Of uploaded files (name, bytes); of what is too large, enough to be refused as such."""
    found: list[tuple[str, bytes]] = []
    for file in files[: MOST_DOCUMENTS + 1]:
        found.append((str(file.name), file.read(MOST_BYTES + 1)))
        if sum(len(data) for _, data in found) > MOST_TOGETHER:
            break
    return found


class EditForm(forms.Form):
    """A draft's words; choices are one a line."""

    question = forms.CharField(strip=False, required=False)
    reference = forms.CharField(strip=False, required=False)
    choices = forms.CharField(strip=False, required=False)

    def words(self) -> dict[str, Any]:
        """After `is_valid`."""
        lines = self.cleaned_data["choices"].splitlines()
        return {**self.cleaned_data, "choices": [line for line in lines if line.strip()]}
