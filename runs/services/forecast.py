"""What a launch is expected to take: tokens, dollars, time, precision, and which ceilings it would meet."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Avg, F
from django.db.models.functions import Length

from datasets.models import DatasetVersion, Item
from evalportal.lib.ui import money, number, plural
from judges.metrics import proportion
from judges.models import JudgeModel, JudgeVersion, frozen
from runs.engine.judging import passes_of
from runs.models import Run
from runs.selectors_budget import Month, Spent
from runs.services.wish import Forecast, Launch, Target
from workspaces.models import Workspace

ASSUMED_OUTPUT_TOKENS = 256
CHARS_PER_TOKEN = 4
MOST_CHARS_PER_TOKEN, LEAST_CHARS_PER_TOKEN = 5, 3
ASSUMED_SPREAD = 4  # of answers without a past: from a quarter of what is assumed to four times that
PAST_SPREAD = Decimal("1.25")  # around the shortest and the longest of past runs
PAST_RUNS = 5


@dataclass(frozen=True)
class AnswerTokens:
    """Of one answer."""

    mean: Decimal
    least: Decimal
    most: Decimal
    assumed: bool


def half_width(n: int) -> float | None:
    """Of a 95 % interval at its widest, when half of n are right."""
    estimate = proportion(n // 2, n) if n else None
    if estimate is None or estimate.low is None or estimate.high is None:
        return None
    return (estimate.high - estimate.low) / 2


def concurrency_of(target: Target, wish: Launch) -> int:
    provider = target.model.provider if target.model else None
    return wish.concurrency or (provider.concurrency if provider else 64)


def forecasts(
    version: DatasetVersion, targets: Sequence[Target], wish: Launch, trials: int
) -> list[Forecast]:
    """For each run. Input tokens are characters / 4; output tokens the mean of past runs, else assumed."""
    characters = Decimal(mean_prompt(version) + len(wish.template)) * trials
    limit = wish.params.get("max_tokens")
    return [
        _forecast(target, characters, _answers(version.dataset.workspace_id, target, limit), trials)
        for target in targets
    ]


def _forecast(target: Target, characters: Decimal, answer: AnswerTokens, calls: int) -> Forecast:
    """Of so many calls that send so many characters in all."""
    inputs, output = characters / CHARS_PER_TOKEN, answer.mean * calls
    least = _dollars(target, characters / MOST_CHARS_PER_TOKEN, answer.least * calls)
    most = _dollars(target, characters / LEAST_CHARS_PER_TOKEN, answer.most * calls)
    band = None if least is None or most is None else (least, most)
    return Forecast(target, int(inputs + output), _dollars(target, inputs, output), answer.assumed, band)


def judge_forecasts(
    version: DatasetVersion, judge: JudgeVersion, wish: Launch, responses: int
) -> list[Forecast]:
    """For each judge model, over all runs of the launch. A response is taken to be as long as it may be, or
    as is assumed."""
    length = mean_prompt(version) + len(judge.system_template) + len(judge.user_template)
    response = Decimal(wish.params.get("max_tokens") or ASSUMED_OUTPUT_TOKENS)
    calls = passes_of(frozen(judge)) * responses
    found = []
    for row in JudgeModel.objects.filter(version=judge).select_related("model__provider"):
        target = Target(row.model, row.name)
        answer = _answers(version.dataset.workspace_id, target, None)
        characters = (Decimal(length) + response * CHARS_PER_TOKEN) * calls
        found.append(_forecast(target, characters, answer, calls))
    return found


def mean_prompt(version: DatasetVersion) -> float:
    """Characters, over the first items."""
    items = Item.objects.filter(version=version, position__lte=500)
    return items.aggregate(mean=Avg(Length("prompt")))["mean"] or 0


def _answers(workspace_id: int, target: Target, limit: int | None) -> AnswerTokens:
    """Over the model's last runs here; answers from the cache used none. Else up to the limit, or assumed."""
    runs = Run.objects.filter(workspace=workspace_id, model=target.model, done__gt=F("cached"))
    rows = runs.order_by("-id").values_list("output_tokens", "done", "cached")[:PAST_RUNS]
    past = [(Decimal(tokens), done - cached) for tokens, done, cached in rows if tokens]
    if past:
        means = [tokens / calls for tokens, calls in past]
        mean = sum((tokens for tokens, _ in past), Decimal(0)) / sum(calls for _, calls in past)
        return AnswerTokens(mean, min(means) / PAST_SPREAD, max(means) * PAST_SPREAD, assumed=False)
    assumed = Decimal(limit or ASSUMED_OUTPUT_TOKENS)
    most = assumed if limit else assumed * ASSUMED_SPREAD
    return AnswerTokens(assumed, assumed / ASSUMED_SPREAD, most, assumed=True)


def _dollars(target: Target, input_tokens: Decimal, output_tokens: Decimal) -> Decimal | None:
    model = target.model
    if model is None or model.input_price is None or model.output_price is None:
        return None
    return (input_tokens * model.input_price + output_tokens * model.output_price) / 1_000_000


def total_cost(found: Sequence[Forecast], wish: Launch) -> tuple[Decimal | None, str]:
    """Of all runs together, and what it rests on."""
    unpriced = next((each.target.title for each in found if each.cost is None), "")
    if unpriced:
        return None, "no price is registered" + (f" for {unpriced}" if len(found) > 1 else "")
    basis = "from past answers of these models"
    if any(each.assumed for each in found):
        limited = wish.params.get("max_tokens")
        basis = (
            "if answers use all their tokens" if limited else f"at {ASSUMED_OUTPUT_TOKENS} tokens an answer"
        )
    return sum((each.cost or Decimal(0) for each in found), Decimal(0)), basis


def cost_band(found: Sequence[Forecast]) -> tuple[Decimal, Decimal] | None:
    """The least and the most that all runs together may come to; None where a price is unknown."""
    bands = [each.band or (each.cost, each.cost) for each in found]
    least, most = [low for low, _ in bands], [high for _, high in bands]
    if not found or None in least or None in most:
        return None
    return sum((low for low in least if low), Decimal(0)), sum((high for high in most if high), Decimal(0))


def duration(workspace: Workspace, targets: Sequence[Target], wish: Launch, trials: int) -> float | None:
    """Seconds for the slowest model by its past median latency; None before any run."""
    slowest = None
    for target in targets:
        runs = Run.objects.filter(workspace=workspace, model=target.model, summary__latency__isnull=False)
        past = runs.order_by("-id").first()
        latency = (past.summary.get("latency") or {}).get("p50") if past else None
        if latency is None:
            return None
        slowest = max(slowest or 0.0, latency / 1000 * trials / concurrency_of(target, wish))
    return slowest


def ceiling_bars(found: Sequence[Forecast], wish: Launch) -> list[Spent]:
    """The dearest run of the launch against each ceiling of a run."""
    costs = [each.cost for each in found if each.cost is not None]
    bars = []
    if wish.cost_ceiling and costs:
        bars.append(Spent("usd", max(costs), wish.cost_ceiling))
    if wish.token_ceiling and found:
        bars.append(Spent("tokens", Decimal(max(each.tokens for each in found)), Decimal(wish.token_ceiling)))
    return bars


def ceiling_warnings(found: Sequence[Forecast], wish: Launch, month: Month) -> list[str]:
    """Where the forecast passes a ceiling of the run, or what the workspace has left of its month."""
    over = [_over_own(each, wish) for each in found]
    return [text for text in over if text] + _over_month(found, month)


def _over_own(each: Forecast, wish: Launch) -> str:
    """One sentence a run, money before tokens."""
    if wish.cost_ceiling and each.cost is not None and each.cost > wish.cost_ceiling:
        passed = f"about {money(each.cost)}, over its ceiling of {money(wish.cost_ceiling)}"
    elif wish.token_ceiling and each.tokens > wish.token_ceiling:
        passed = f"about {number(each.tokens)} tokens, over its ceiling of {number(wish.token_ceiling)}"
    else:
        return ""
    return f"{each.target.title}: {passed}. Its run will pause on the way."


def _over_month(found: Sequence[Forecast], month: Month) -> list[str]:
    costs = [each.cost for each in found if each.cost is not None]
    needed = {"usd": sum(costs, Decimal(0)), "tokens": Decimal(sum(each.tokens for each in found))}
    texts = []
    for bar in month.bars:
        named = money(bar.ceiling) if bar.unit == "usd" else plural(int(bar.ceiling), "token,tokens")
        left = money(bar.left) if bar.unit == "usd" else plural(int(bar.left), "token,tokens")
        if not bar.left:
            texts.append(
                f"This workspace has used up its {named} of {month.first_day:%B}: runs pause "
                "before their first call. An administrator can raise the monthly ceiling."
            )
        elif needed[bar.unit] > bar.left:
            texts.append(
                f"That is more than the {left} that this workspace has left of its {named} of "
                f"{month.first_day:%B}: runs will pause on the way."
            )
    return texts
