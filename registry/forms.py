"""Forms of the admin. Secrets are write-only: no form ever renders what is stored."""

from typing import TYPE_CHECKING, Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from registry import rules
from registry.models import Capability, Provider, RegisteredModel
from registry.protocols import PROTOCOLS

if TYPE_CHECKING:
    ProviderBase = forms.ModelForm[Provider]
    ModelBase = forms.ModelForm[RegisteredModel]
else:
    ProviderBase = ModelBase = forms.ModelForm

KEPT = "One is stored. Leave this empty to keep it; it is removed when scheme, host or port change."
NOTHING_KEPT = "Write-only: once saved it is never shown again."


class BlankTextarea(UnfoldAdminTextareaWidget):  # type: ignore[misc]
    """Takes a text and never shows one, not even what was just typed into a form with errors."""

    def format_value(self, value: Any) -> str:
        return ""


def protocol_choices() -> list[tuple[str, str]]:
    return [(key, PROTOCOLS[key].title) for key in PROTOCOLS]


class ProviderForm(ProviderBase):
    protocol = forms.ChoiceField(
        choices=protocol_choices, widget=UnfoldAdminSelectWidget, help_text="The wire format it speaks"
    )
    base_url = forms.CharField(
        label="Base URL",
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text="Up to and including /v1, as the documentation gives it: https://api.example.com/v1. "
        "Private addresses need an entry in EVALPORTAL_OUTBOUND_ALLOW.",
    )
    new_key = forms.CharField(
        label="API key",
        required=False,
        max_length=5000,
        validators=[rules.check_key],
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )
    forget_key = forms.BooleanField(
        label="Remove the stored key", required=False, widget=UnfoldBooleanSwitchWidget
    )
    new_headers = forms.CharField(
        label="Extra headers",
        required=False,
        max_length=20_000,
        validators=[rules.check_headers],
        widget=BlankTextarea(attrs={"rows": 3, "placeholder": '{"x-team": "evaluation"}'}),
        help_text="A JSON object of header names and values. ",
    )
    forget_headers = forms.BooleanField(
        label="Remove the stored headers", required=False, widget=UnfoldBooleanSwitchWidget
    )

    class Meta:
        model = Provider
        fields = (
            "name", "workspace", "protocol", "base_url", "is_active",
            "concurrency", "timeout_s", "requests_per_minute", "tokens_per_minute",
        )  # fmt: skip
        labels = {"timeout_s": "Timeout in seconds", "is_active": "Active"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, stored in (("key", self.instance.api_key), ("headers", self.instance.headers)):
            if f"new_{name}" in self.fields:
                self.fields[f"new_{name}"].help_text += KEPT if stored else NOTHING_KEPT

    def clean_base_url(self) -> str:
        url: str = self.cleaned_data["base_url"].strip().rstrip("/")
        rules.check_base_url(url)
        return url

    def secrets(self) -> dict[str, Any]:
        """What `provider_save` takes beside the provider."""
        data = self.cleaned_data
        forget = {"api_key": data.get("forget_key"), "headers": data.get("forget_headers")}
        return {
            "api_key": data.get("new_key", ""),
            "headers": data.get("new_headers", ""),
            "forget": [name for name, wanted in forget.items() if wanted],
        }


class RegisteredModelForm(ModelBase):
    capabilities = forms.MultipleChoiceField(
        choices=Capability.choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Images are sent only to models that see them; answers stream in only from those that can.",
    )

    default_params = forms.JSONField(
        label="Default parameters",
        required=False,
        initial=dict,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text='Sent unless the launch says otherwise, as a JSON object: {"temperature": 0}',
    )

    class Meta:
        model = RegisteredModel
        fields = (
            "source", "provider", "endpoint_id", "parent", "hf_repo", "hf_revision", "name", "alias",
            "workspace", "is_active", "embeds", "capabilities", "default_params", "input_price",
            "output_price",
        )  # fmt: skip
        labels = {"name": "Exact name", "is_active": "Active"}

    def clean_default_params(self) -> Any:
        return self.cleaned_data["default_params"] or {}


class RegisterNamesForm(forms.Form):
    """The names that were ticked in an endpoint's list."""

    names = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, offered: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["names"].choices = [(name, name) for name in offered]  # type: ignore[attr-defined]
