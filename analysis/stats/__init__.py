"""Pure statistics on numpy and scipy: no database, no Django, no words for people beyond a reason.

One habit throughout: intervals are two-sided at 95 %, tests two-sided, and what cannot be computed is
None beside a `reason`, never NaN and never 0. Differences are second minus first, like B − A on the
pages. Missing values are dropped by the caller, who knows why they are missing; NaN is refused.
"""
