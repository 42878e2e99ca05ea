"""Routes of the pages of benchmarks, within a workspace."""

from django.urls import path

from benchmarks.views import bundles, evaluation, gates, listing, tabs, tasks

app_name = "benchmarks"
urlpatterns = [
    path("", listing.listing, name="list"),
    path("new/", listing.create, name="create"),
    path("import/", bundles.import_, name="import"),
    path("together/", tasks.together, name="together"),
    path("tasks/<int:pk>/", tasks.task, name="task"),
    path("tasks/<int:pk>/download/", tasks.task_download, name="task_download"),
    path("tasks/<int:pk>/delete/", tasks.task_delete, name="task_delete"),
    path("evaluations/<int:pk>/", evaluation.evaluation, name="evaluation"),
    path("evaluations/<int:pk>/live/", evaluation.live, name="evaluation_live"),
    path("evaluations/<int:pk>/files/<slug:kind>/", evaluation.files, name="evaluation_files"),
    path("evaluations/<int:pk>/baseline/", evaluation.baseline, name="evaluation_baseline"),
    path("evaluations/<int:pk>/delete/", evaluation.delete, name="evaluation_delete"),
    path("<int:pk>/", tabs.overview, name="overview"),
    path("<int:pk>/phases/", tabs.phases, name="phases"),
    path("<int:pk>/leaderboard/", tabs.leaderboard, name="leaderboard"),
    path("<int:pk>/evaluations/", tabs.evaluations, name="evaluations"),
    path("<int:pk>/evaluate/", tabs.evaluate, name="evaluate"),
    path("<int:pk>/gates/", gates.benchmark_gates, name="gates"),
    path("gates/<int:pk>/delete/", gates.delete, name="gate_delete"),
    path("gates/dataset/<int:pk>/", gates.dataset_gates, name="dataset_gates"),
    path("<int:pk>/bundle/", bundles.export, name="bundle"),
    path("<int:pk>/edit/", listing.edit, name="edit"),
    path("<int:pk>/archive/", listing.archive, name="archive"),
    path("<int:pk>/publish/", listing.publish, name="publish"),
    path("<int:pk>/delete/", listing.delete, name="delete"),
]
