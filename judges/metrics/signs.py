"""The sign test of wins against losses."""

from scipy.special import bdtr


def sign_test(wins: int, losses: int) -> float | None:
    """Exact two-sided p that wins and losses are equally likely, ties left out (Conover 1999, §3.4).

    None without a single win or loss.
    """
    n = wins + losses
    return min(1.0, 2 * float(bdtr(min(wins, losses), n, 0.5))) if n else None
