"""Ready-made judges to copy and to change: one file each, listed here."""

from evalportal.lib.plugins import PluginTable

RUBRICS = PluginTable(
    "rubric",
    (
        ("correctness", "judges.rubrics.correctness:RUBRIC"),
        ("helpfulness", "judges.rubrics.helpfulness:RUBRIC"),
        ("faithfulness", "judges.rubrics.faithfulness:RUBRIC"),
        ("relevance", "judges.rubrics.relevance:RUBRIC"),
        ("coherence", "judges.rubrics.coherence:RUBRIC"),
        ("toxicity", "judges.rubrics.toxicity:RUBRIC"),
        ("instruction_following", "judges.rubrics.instruction_following:RUBRIC"),
        ("preference", "judges.rubrics.preference:RUBRIC"),
    ),
)
