"""A mean over listeners and items at once, both of which are a sample of many."""

import math
from collections.abc import Sequence

from cyclegan_audio.statistics.estimates import CONFIDENCE_LEVEL, Estimate, estimate, standard_error


def two_way_mean(
    values: Sequence[float], rows: Sequence[str], columns: Sequence[str]
) -> tuple[Estimate, float]:
    """Average values that hang together by row (listener) and by column (item), and test the mean against 0.

    The variance is that over whole rows plus that over whole columns less that over single values (Cameron,
    Gelbach and Miller 2011), no smaller than any of the first two; Student's t with as many degrees of
    freedom as the fewer of rows and columns, less one. With one row the interval is over columns alone, and
    the other way round; with one of each there is none.

    Raises:
        ValueError: there are no values, or not one row and one column for each.
    """
    from scipy.special import stdtr, stdtrit

    by = [
        estimate(values, groups)
        for groups in (rows, columns, list(map("\n".join, zip(rows, columns, strict=True))))
    ]
    errors = [standard_error(value) for value in by]
    known = [
        (error, value.groups)
        for error, value in zip(errors[:2], by[:2], strict=True)
        if not math.isnan(error)
    ]
    mean, sd, n = by[0].mean, by[0].sd, by[0].n
    groups = min((count for _, count in known), default=1)
    if not known:
        return Estimate(mean, sd, math.nan, math.nan, n, groups), math.nan
    variance = max(error**2 for error, _ in known)
    if len(known) == 2:
        variance = max(variance, errors[0] ** 2 + errors[1] ** 2 - errors[2] ** 2)
    reach = float(stdtrit(groups - 1, (1 + CONFIDENCE_LEVEL) / 2)) * math.sqrt(variance)
    if variance == 0:
        p = 1.0 if mean == 0 else 0.0
    else:
        p = 2 * float(stdtr(groups - 1, -abs(mean) / math.sqrt(variance)))
    return Estimate(mean, sd, mean - reach, mean + reach, n, groups), p
