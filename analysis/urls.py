"""Routes of the dashboard, comparisons, triage and labelling; the workspace's home is here."""

from django.urls import path

from analysis.views import advice, compare, exporting, home, keeping, review, triage, trust

app_name = "analysis"
urlpatterns = [
    path("", home.dashboard, name="dashboard"),
    path("dashboard/fragments/", home.fragments, name="dashboard_fragments"),
    path("compare/", compare.compare, name="compare"),
    path("compare/fragments/", compare.fragments, name="compare_fragments"),
    path("compare/export/", exporting.export, name="export"),
    path("compare/save/", keeping.save, name="save"),
    path("compare/saved/<int:pk>/", keeping.saved, name="saved"),
    path("compare/saved/<int:pk>/delete/", keeping.saved_delete, name="saved_delete"),
    path("compare/advice/", advice.advice, name="advice"),
    path("triage/", triage.triage_list, name="triage_list"),
    path("triage/keep/", triage.triage, name="triage"),
    path("triage/again/", triage.again, name="again"),
    path("review/", review.review, name="review"),
    path("review/draw/", review.review_draw, name="review_draw"),
    path("review/export/", review.review_export, name="review_export"),
    path("review/label/", review.review_label, name="review_label"),
    path("review/keep/", review.review_keep, name="review_keep"),
    path("review/judges/<int:pk>/", trust.judge_card, name="judge_card"),
    path("review/runs/<int:pk>/", trust.corrected, name="corrected"),
    path("review/runs/<int:pk>/agreement/", trust.agreement, name="agreement"),
]
