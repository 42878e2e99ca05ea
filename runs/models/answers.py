"""Answers that people fill in for a model that exists only as a website."""

from hashlib import sha256

from django.conf import settings
from django.db import models

from runs.models.runs import Run
from runs.models.trials import Trial

BY_HAND = "by_hand"  # of config["responses"]: people fill them in


class HandAnswer(models.Model):
    """What a person pasted as the response of a trial; the engine scores it, and never changes it."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="hand_answers")
    trial = models.OneToOneField(Trial, on_delete=models.CASCADE, related_name="hand_answer")
    text = models.TextField()
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    answered_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"answer of trial {self.trial_id}"

    @property
    def mark(self) -> str:
        """Tells this text from another."""
        return mark_of(self.text)


def mark_of(text: str) -> str:
    """Empty for an empty text."""
    return sha256(text.encode()).hexdigest()[:16] if text else ""
