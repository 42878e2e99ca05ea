"""Routes of the runs pages."""

from django.urls import path

from runs.views import (
    actions,
    attempts,
    board,
    by_hand,
    exports,
    figures,
    inspector,
    items,
    judging,
    launching,
    misses,
    trying,
    variations,
)

app_name = "runs"
urlpatterns = [
    path("", board.board, name="board"),
    path("fragments/", board.fragments, name="fragments"),
    path("launch/", launching.launch, name="launch"),
    path("launch/plan/", launching.plan, name="launch_plan"),
    path("launch/try/", trying.try_scoring, name="launch_try"),
    path("<int:pk>/", inspector.inspector, name="inspector"),
    path("<int:pk>/metrics/", figures.figures, name="metrics"),
    path("<int:pk>/variations/", variations.variations, name="variations"),
    path("<int:pk>/log/", inspector.log, name="log"),
    path("<int:pk>/attempts/", attempts.attempts, name="attempts"),
    path("<int:pk>/export/<slug:kind>/", exports.export, name="export"),
    path("<int:pk>/by-hand/", by_hand.by_hand, name="by_hand"),
    path("<int:pk>/by-hand/pack/", by_hand.pack, name="pack"),
    path("<int:pk>/by-hand/import/", by_hand.pack_import, name="pack_import"),
    path("<int:pk>/by-hand/score/", by_hand.score, name="by_hand_score"),
    path("<int:pk>/by-hand/reopen/", by_hand.reopen, name="by_hand_reopen"),
    path("<int:pk>/misses/", misses.misses, name="misses"),
    path("<int:pk>/misses/<slug:kind>/", misses.misses_file, name="misses_file"),
    path("difficulty/<int:version_id>/", items.difficulty, name="difficulty"),
    path("items/<int:item_id>/history/", items.item_history, name="item_history"),
    path("<int:pk>/judges/", judging.add_judge, name="add_judge"),
    path("<int:pk>/cancel/", actions.cancel, name="cancel"),
    path("<int:pk>/pause/", actions.pause, name="pause"),
    path("<int:pk>/resume/", actions.resume, name="resume"),
    path("<int:pk>/retry/", actions.retry, name="retry"),
    path("<int:pk>/ceilings/", actions.ceilings, name="ceilings"),
    path("<int:pk>/delete/", actions.delete, name="delete"),
]
