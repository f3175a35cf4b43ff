"""What customers did and may do: RFM segments, simple CLV, and the models BG/NBD and Gamma-Gamma.

Pure functions over Polars frames and numpy arrays: no database, no settings. Time is in weeks, money in the business's
currency; an order day is a day with at least one earned order of the customer, however many there were.

Sources
    [FHL]  Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model,
           Marketing Science 24(2), 275-284.
    [FH08] Fader & Hardie (2008), Computing P(alive) Using the BG/NBD Model, http://www.brucehardie.com/notes/021/
    [FH]   Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, http://www.brucehardie.com/notes/025/
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

# scipy is imported where it is used: a refresh that finds nothing new, and every page, does without its 0.3 s.

HORIZON = 12  # weeks that expected purchases and values look ahead
WINDOW = 6  # calendar months that RFM looks at, the last one included
REPEATERS = 30  # customers with repeat days that a fit needs: fewer say too little for three or four parameters


# RFM -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Segment:
    """A kind of customer by the fifths of recency (r) and frequency (f), both ends included; the first that fits holds.

    `definition` and `action` are for a shop owner.
    """

    name: str
    definition: str
    action: str
    r: tuple[int, int]
    f: tuple[int, int]


SEGMENTS = (
    Segment(
        "Champions", "Came lately and come often: recency 4 or 5, frequency 4 or 5.",
        "Thank them, look after them first, ask them to bring a friend.", (4, 5), (4, 5),
    ),
    Segment(
        "Loyal", "Come regularly, though not at the very top in both: recency 3 or more, frequency 3 or more.",
        "Offer a subscription or a second service.", (3, 5), (3, 5),
    ),
    Segment(
        "Recent", "Came lately, but seldom so far: recency 4 or 5, frequency 1 or 2.",
        "Welcome them and give a reason for the next order within the month.", (4, 5), (1, 2),
    ),
    Segment(
        "At Risk", "Used to come often and have stayed away for long: recency 1 or 2, frequency 3 or more.",
        "Call them: ask what went wrong and offer to pick up.", (1, 2), (3, 5),
    ),
    Segment(
        "Frequent", "Came neither lately nor long ago, and seldom: recency 3, frequency 1 or 2.",
        "Remind them before they drift away: a message with an offer that ends soon.", (3, 3), (1, 2),
    ),
    Segment(
        "Other", "Came seldom and not for long: recency 1 or 2, frequency 1 or 2.",
        "Reach them with the general campaigns only; spend no calls on them.", (1, 2), (1, 2),
    ),
)  # fmt: skip
RFM_NOTE = (
    "Customers with revenue in the 6 calendar months that end with the month. Recency: days from their last earned day "
    "to the month's end; frequency: orders; monetary: revenue. Each is cut into fifths, 5 the best."
)

# The columns of rfm().
RFM = {
    "month": pl.Date, "place": pl.Int32, "recency_days": pl.Int32, "frequency": pl.Int32, "monetary": pl.Int64,
    "r": pl.Int16, "f": pl.Int16, "m": pl.Int16, "segment": pl.Enum([segment.name for segment in SEGMENTS]),
}  # fmt: skip


def _fifths(days: np.ndarray) -> np.ndarray:
    """1 (smallest) to 5 for whole numbers, by the 20/40/60/80 % quantiles; on an edge: the lower fifth.

    An edge may lie between two whole numbers. Five times an edge is whole, so comparing those is exact.
    """
    ordered, last = np.sort(days).astype(np.int64), len(days) - 1
    found = np.ones(len(days), dtype=np.int16)
    for j in range(1, 5) if len(days) else ():
        place, rest = divmod(last * j, 5)
        edge = 5 * ordered[place] + rest * (ordered[min(place + 1, last)] - ordered[place])
        found += 5 * days > edge
    return found


def _fifths_of_ranks(values: np.ndarray) -> np.ndarray:
    """1 (smallest) to 5 by the quantiles of the rank 1..n; equal values rank in the order in which they stand."""
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    # Edge j of the ranks 0..n-1 is j (n - 1) / 5: a rank beyond j of them lies in fifth j + 1.
    return np.clip(-(-5 * ranks // max(len(values) - 1, 1)), 1, 5).astype(np.int16)


def scores(recency_days: np.ndarray, frequency: np.ndarray, monetary: np.ndarray) -> tuple[np.ndarray, ...]:
    """r, f, m (int16, 1 to 5; 5 is the most recent, most frequent, highest) of one month's customers, in ID order.

    Quantiles by linear interpolation: of recency (whole days) itself, and of the ranks of the other two, where
    customers with equal values rank in the order in which they stand.
    """
    return 6 - _fifths(recency_days), _fifths_of_ranks(frequency), _fifths_of_ranks(monetary)


def rfm(active: pl.DataFrame, ends: pl.DataFrame) -> pl.DataFrame:
    """RFM of every month in `ends`: of the customers with revenue in the 6 calendar months that end with it.

    `active`, one row a customer and month: month (its first day), place (0, 1 ...: customers in ID order), last_earned
    (date), orders, revenue (hundredths, whole). `ends`: month and last_day, every month in order, none missing. Returns
    month, place, recency_days (last earned day to last_day), frequency (orders), monetary (hundredths), r, f, m and
    segment (Enum), ordered by month and place.
    """
    rows = active.join(ends.with_row_index("number"), on="month", how="left", maintain_order="left")
    at = rows["number"].to_numpy(), rows["place"].to_numpy()
    # A row a month and a column a customer: windows are sums of rows, and no customer is ever looked for.
    shape = (ends.height, int(rows["place"].max() or 0) + 1)
    orders, revenue, last = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int32)
    orders[at], revenue[at] = rows["orders"].to_numpy(), rows["revenue"].to_numpy()
    last[at] = rows["last_earned"].to_physical().to_numpy()
    found = [pl.DataFrame(schema=RFM)]
    for number, (month, end) in enumerate(zip(ends["month"], ends["last_day"].to_physical(), strict=True)):
        window = slice(max(number - WINDOW + 1, 0), number + 1)
        spent = revenue[window].sum(axis=0)
        place = np.flatnonzero(spent > 0)
        recency, frequency = end - last[window].max(axis=0)[place], orders[window].sum(axis=0)[place]
        r, f, m = scores(recency, frequency, spent[place])
        values = dict(zip(list(RFM)[1:-1], (place, recency, frequency, spent[place], r, f, m), strict=True))
        said = pl.DataFrame(values).with_columns(segments(r, f).alias("segment"), pl.lit(month).alias("month"))
        found.append(said.select(pl.col(name).cast(kind) for name, kind in RFM.items()))
    return pl.concat(found)


def segments(r: np.ndarray, f: np.ndarray) -> pl.Series:
    """The names of the segments that these fifths of recency and frequency are in (an Enum of SEGMENTS' names)."""
    table = np.zeros((6, 6), dtype=np.uint32)
    for number, segment in reversed([*enumerate(SEGMENTS)]):  # the first that fits is written last
        table[segment.r[0] : segment.r[1] + 1, segment.f[0] : segment.f[1] + 1] = number
    return pl.Series(table[r, f]).cat.to(RFM["segment"])


# Simple CLV ------------------------------------------------------------------------------------------------------


def simple_clv(revenue: np.ndarray, lifespan_months: np.ndarray) -> dict[str, float | None]:
    """{avg_monthly_rev, avg_lifespan, simple_clv}: the means over customers of revenue / lifespan (money) and of
    lifespan (months), and their product (money). None without customers.
    """
    if not len(revenue):
        return dict.fromkeys(("avg_monthly_rev", "avg_lifespan", "simple_clv"))
    rate, lifespan = float(np.mean(revenue / lifespan_months)), float(np.mean(lifespan_months))
    return {"avg_monthly_rev": rate, "avg_lifespan": lifespan, "simple_clv": rate * lifespan}


# BG/NBD ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BgNbd:
    """While alive a customer buys as a Poisson process whose rate differs between customers: Gamma(r, rate alpha).
    After each purchase the customer leaves with a probability that differs between customers: Beta(a, b) [FHL].

    `alpha` is in the unit of time that the model was fitted in (weeks).
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    customers: int


def fit_bg_nbd(x: np.ndarray, tx: np.ndarray, T: np.ndarray) -> tuple[BgNbd | None, str]:
    """The BG/NBD model of greatest likelihood, or None and the reason why there is none.

    One entry a customer: `x` purchases after the first, `tx` time from the first to the last one (0 where x is 0), `T`
    time from the first one to now; any one unit of time. Raises ValueError for what cannot be (x < 0, tx > T).
    """
    x, tx, T = (np.asarray(values, dtype=float) for values in (x, tx, T))
    if not (np.all(x >= 0) and np.all(tx >= 0) and np.all(tx <= T) and np.all(np.isfinite(T))):
        raise ValueError("x and tx must not be negative, tx not above T, and T must be finite")
    repeaters = int(np.count_nonzero(x))
    if repeaters < REPEATERS:
        return None, f"only {repeaters} customers came back on another day; a model needs {REPEATERS}"
    scale = float(np.mean(T))  # > 0: whoever came back did so later
    best = _minimise(_bg_nbd_loss(x, tx / scale, T / scale), 4)
    if best is None:
        return None, "the model did not settle on these data"
    (r, alpha, a, b), loss = best[0].tolist(), best[1]
    if min(a, b) < 1.01 * LEAST:  # at the search's limit: nobody is seen to leave, or everybody at once
        return None, "the data do not show how customers leave"
    # Time was divided by `scale`: the density of each of the x purchases changes by that factor.
    return BgNbd(r, alpha * scale, a, b, -loss * len(x) - float(np.sum(x) * np.log(scale)), len(x)), ""


LEAST, MOST = 1e-4, 1e3  # of a parameter, in scaled units: beyond, the likelihood hardly changes any more


def _minimise(loss, size: int) -> tuple[np.ndarray, float] | None:
    """Parameters (all above 0) at the minimum of loss(log of parameters) -> (value, gradient), and that value.

    Searched in logarithms from 1, always the same way; None where the search fails.
    """
    from scipy.optimize import minimize

    limits = [(np.log(LEAST), np.log(MOST))] * size
    with np.errstate(over="ignore", invalid="ignore"):
        found = minimize(
            loss, np.zeros(size), jac=True, method="L-BFGS-B", bounds=limits,
            options={"maxiter": 500, "maxfun": 2000, "ftol": 1e-13, "gtol": 1e-7},
        )  # fmt: skip
    # Status 2: no step could better the last value by more than rounding; with a flat gradient that is the minimum.
    settled = found.success or float(np.max(np.abs(found.jac))) < 1e-4
    if not settled or not np.isfinite(found.fun) or not np.all(np.isfinite(found.x)):
        return None
    return np.exp(found.x), float(found.fun)


def _sum(weights: np.ndarray, values: np.ndarray) -> float:
    """The weighted sum. Not by `@`, whose threads wait for each other: on a busy machine that takes longer than it."""
    return np.einsum("i,i", weights, values)


def _bg_nbd_loss(x: np.ndarray, tx: np.ndarray, T: np.ndarray):
    """log of (r, alpha, a, b) -> minus the mean log-likelihood a customer and its gradient. [FHL] eq. 6, in logarithms.

    Customers with the same x share their gamma functions, and those who never came back and have the same T all else.
    """
    from scipy.special import gammaln, psi

    counts, times = np.unique(x, return_counts=True)
    back = x > 0
    x1, tx1, T1 = x[back], tx[back], T[back]
    T0, n0 = np.unique(T[~back], return_counts=True)

    def loss(log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, a, b = np.exp(log_parameters)
        now, last, never = np.log(alpha + T1), np.log(alpha + tx1), np.log(alpha + T0)
        stayed = -(r + x1) * now
        left = np.log(a) - np.log(b + x1 - 1) - (r + x1) * last
        either = np.logaddexp(stayed, left)
        gone = np.exp(left - either)  # 1 - probability of being alive
        here = 1 - gone
        same = (
            gammaln(r + counts) - gammaln(r) + r * np.log(alpha)
            + gammaln(a + b) + gammaln(b + counts) - gammaln(b) - gammaln(a + b + counts)
        )  # fmt: skip
        value = _sum(times, same) + either.sum() - r * _sum(n0, never)
        d_r = _sum(times, psi(r + counts) - psi(r) + np.log(alpha))
        d_r -= _sum(here, now) + _sum(gone, last) + _sum(n0, never)
        d_alpha = len(x) * r / alpha - _sum(r + x1, here / (alpha + T1) + gone / (alpha + tx1))
        d_alpha -= r * _sum(n0, 1 / (alpha + T0))
        both = psi(a + b) - psi(a + b + counts)
        d_a = _sum(times, both) + gone.sum() / a
        d_b = _sum(times, both + psi(b + counts) - psi(b)) - _sum(gone, 1 / (b + x1 - 1))
        gradient = np.array([d_r * r, d_alpha * alpha, d_a * a, d_b * b])
        return -value / len(x), -gradient / len(x)

    return loss


def probability_alive(model: BgNbd, x: np.ndarray, tx: np.ndarray, T: np.ndarray) -> np.ndarray:
    """The probability that a customer with this history still buys, 0 to 1 [FH08].

    1 where x is 0: in this model customers leave only after a purchase that follows the first, so that it can say
    nothing about those who never came back.
    """
    from scipy.special import expit

    x, tx, T = (np.asarray(values, dtype=float) for values in (x, tx, T))
    # max(): any value will do where x is 0, only no logarithm of a negative one
    odds = np.log(model.a / np.maximum(model.b + x - 1, LEAST)) + (model.r + x) * np.log(
        (model.alpha + T) / (model.alpha + tx)
    )
    return np.where(x > 0, expit(-odds), 1.0)


def expected_purchases(model: BgNbd, t: float, x: np.ndarray, tx: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Purchases to expect in the time `t` from now on, by customer. [FHL] eq. 10.

    Euler's transformation of the hypergeometric function, 2F1(A, B; C; z) = (1-z)^(C-A-B) 2F1(C-A, C-B; C; z), keeps x
    out of its first two parameters: it neither overflows nor loses digits for customers with hundreds of purchases.
    """
    from scipy.special import hyp2f1

    x, tx, T = (np.asarray(values, dtype=float) for values in (x, tx, T))
    a = model.a if abs(model.a - 1) > 1e-6 else 1 + 1e-6  # the formula divides by a - 1; its limit there is smooth
    c = a + model.b + x - 1
    c = np.where(np.abs(c) > 1e-9, c, 1e-9)
    z = t / (model.alpha + T + t)
    share = (1 - z) ** (a - 1) * hyp2f1(a - 1, a + model.b - 1 - model.r, c, z)
    return np.maximum(c / (a - 1) * (1 - share), 0) * probability_alive(model, x, tx, T)


# Gamma-Gamma -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GammaGamma:
    """The values of a customer's purchases vary around the customer's own mean: Gamma(p, rate nu). The means vary
    between customers, nu from Gamma(q, rate v), whatever the number of purchases [FH]. `v` is money.
    """

    p: float
    q: float
    v: float
    log_likelihood: float
    customers: int

    @property
    def mean(self) -> float:
        """The mean value of a purchase over all customers: p v / (q - 1)."""
        return self.p * self.v / (self.q - 1)


def fit_gamma_gamma(x: np.ndarray, value: np.ndarray) -> tuple[GammaGamma | None, str]:
    """The Gamma-Gamma model of greatest likelihood, or None and the reason why there is none. [FH] eq. 1a.

    One entry a customer: `x` purchases and `value`, their mean value. Customers without purchases or whose purchases
    were all free (value 0 or less) take no part: the model knows positive values only. A free purchase among paid ones
    does: it lowers the mean, as it lowers what the next purchase will bring.
    """
    x, value = np.asarray(x, dtype=float), np.asarray(value, dtype=float)
    fit = (x > 0) & (value > 0)
    x, value = x[fit], value[fit]
    if len(x) < REPEATERS:
        return None, f"only {len(x)} customers came back and paid; a model of values needs {REPEATERS}"
    scale = float(np.mean(value))
    best = _minimise(_gamma_gamma_loss(x, value / scale), 3)
    if best is None:
        return None, "the model of values did not settle on these data"
    (p, q, v), loss = best[0].tolist(), best[1]
    if q <= 1:
        return None, "values differ so much between customers that they have no mean in the model"
    return GammaGamma(p, q, v * scale, -loss * len(x) - len(x) * float(np.log(scale)), len(x)), ""


def _gamma_gamma_loss(x: np.ndarray, value: np.ndarray):
    """log of (p, q, v) -> minus the mean log-likelihood a customer and its gradient. [FH] eq. 1a, in logarithms."""
    from scipy.special import gammaln, psi

    counts, times = np.unique(x, return_counts=True)
    total, n, log_x, log_value = x * value, len(x), np.log(counts), np.log(value)

    def loss(log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
        p, q, v = np.exp(log_parameters)
        around = np.log(total + v)
        shape = p * counts
        same = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(v) + shape * log_x
        result = _sum(times, same) + _sum(p * x - 1, log_value) - _sum(p * x + q, around)
        grown = psi(shape + q)
        d_p = _sum(times * counts, grown - psi(shape) + log_x) + _sum(x, log_value - around)
        d_q = _sum(times, grown - psi(q) + np.log(v)) - around.sum()
        d_v = n * q / v - _sum(p * x + q, 1 / (total + v))
        return -result / n, -np.array([d_p * p, d_q * q, d_v * v]) / n

    return loss


def expected_value(model: GammaGamma, x: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The mean value to expect of a customer's next purchases, money: the customer's own mean, drawn towards everyone's
    the fewer purchases there were. [FH] eq. 5. Without purchases everyone's mean; a negative mean counts as free ones.
    """
    x, value = np.asarray(x, dtype=float), np.maximum(np.asarray(value, dtype=float), 0)
    own = model.p * (model.v + x * np.where(x > 0, value, 0)) / np.where(x > 0, model.p * x + model.q - 1, 1)
    return np.where(x > 0, own, model.mean)


# Lifetimes -------------------------------------------------------------------------------------------------------

MODEL = ("r", "alpha", "a", "b", "log_likelihood", "customers", "p", "q", "v", "repeat_customers")


def lifetimes(history: pl.DataFrame) -> tuple[pl.DataFrame, dict]:
    """What each customer was worth and may be worth in the next 12 weeks, and the model that says so.

    `history`, one row a customer: customer_id, revenue (money), lifespan_months, and repeat_days, recency_weeks,
    age_weeks, mean_value (money a day), null for customers who are not to be modelled. Returns it with monthly_revenue,
    alive (null too where repeat_days is 0), expected_purchases (order days) and expected_value (money); and the model:
    the parameters in MODEL (None where there is none) and reason ("" where both models hold).
    """
    modelled = history.filter(pl.col("repeat_days").is_not_null())
    names = ("repeat_days", "recency_weeks", "age_weeks", "mean_value")
    x, tx, T, value = (modelled[name].cast(pl.Float64).to_numpy() for name in names)
    model = dict.fromkeys(MODEL) | {"reason": ""}
    told = modelled.select("customer_id").with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in ("alive", "expected_purchases", "expected_value")
    )
    bg, why = (None, "there are no orders yet") if not len(x) else _fit_if_old_enough(x, tx, T)
    if bg is None:
        model["reason"] = f"No model of lifetimes: {why}."
    else:
        model |= {name: getattr(bg, name) for name in MODEL[:6]}
        coming = expected_purchases(bg, HORIZON, x, tx, T)
        alive = pl.Series(probability_alive(bg, x, tx, T))
        told = told.with_columns(alive=pl.when(modelled["repeat_days"] > 0).then(alive), expected_purchases=coming)
        gg, why = fit_gamma_gamma(x, value)
        if gg is None:
            model["reason"] = f"No model of values: {why}."
        else:
            model |= {"p": gg.p, "q": gg.q, "v": gg.v, "repeat_customers": gg.customers}
            told = told.with_columns(expected_value=coming * expected_value(gg, x, value))
    monthly = pl.col("revenue").cast(pl.Float64) / pl.col("lifespan_months")
    return history.with_columns(monthly_revenue=monthly).join(told, on="customer_id", how="left"), model


def _fit_if_old_enough(x: np.ndarray, tx: np.ndarray, T: np.ndarray) -> tuple[BgNbd | None, str]:
    if max(T) < HORIZON:
        return None, f"orders reach back {max(T):.0f} weeks; looking {HORIZON} weeks ahead needs as many"
    return fit_bg_nbd(x, tx, T)
