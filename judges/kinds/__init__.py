"""What a judge can decide: one entry a kind. Each says which fields it needs, what the judge model is told
to answer, and how that answer is read."""

from evalportal.lib.plugins import PluginTable

KINDS = PluginTable(
    "kind of judge",
    (
        ("classify", "judges.kinds.classify:Classify"),
        ("score", "judges.kinds.score:Score"),
        ("compare", "judges.kinds.compare:Compare"),
    ),
)
