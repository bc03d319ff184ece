"""Attention of a few queries to many frozen tokens, whose memory and gradients are the size of the queries.

Frozen tokens x_n (C) are marked with a learned code e_n, normed and attended:

    z_n = (x_n + e_n - m_n) / s_n        m, s: mean and standard deviation over the width
    S_rn = a_r . z_n                     P = softmax of S over n                Y_r = sum over n of P_rn z_n

Textbook backpropagation keeps z and its gradient, each as large as the tokens, only to sum that gradient over the batch
into e. Here neither is ever made: with W = P / s and a'' = a minus its mean,

    S_rn = a''_r . (x_n + e_n) / s_n     Y_r = sum over n of W_rn (x_n + e_n - m_n)

and the gradients are products of the same kinds. With G = dL/dY minus its mean over the width:

    dP_rn = G_r . (x_n + e_n) / s_n      dS_rn = P_rn (dP_rn - G_r . Y_r)
    da_r = sum over b, n of (dS_rn / s_n) (x_n + e_n), minus its mean
    de_n = sum over b of [ sum over r of (W_rn G_r + (dS_rn / s_n) a''_r) - k_n (x_n + e_n - m_n) ]
    k_n = sum over r of (P_rn dP_rn + dS_rn S_rn) / (C s_n^2)

A clip and its reversal are the same tokens under two codes, as attention does not see an order, so that the products of
a and da with the tokens are shared. Where all tokens of a frame have one code, products with the codes cost nothing.
For R queries, N tokens and two directions that makes 6 R N C multiply-adds a clip, or 8 with a code per token, as under
dropout; keys and values of the paper's sizes (R = 128) take 48.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = {"cpu": 2**24}
"""Bytes of tokens in work at a time, by device: what stays in a CPU's cache."""
CHUNK_ELSEWHERE = 2**29
"""What keeps a GPU busy."""


def attend(queries: Tensor, tokens: Tensor, codes: Tensor, eps: float = 1e-5) -> Tensor:
    """Normed tokens mixed by attention; differentiable in the queries and the codes, not in the tokens.

    Args:
        queries: (D or 1, B or 1, R, C), R queries in the width of the tokens for each of D directions.
        tokens: (B, T, P, C), of any floating type.
        codes: (D, T, P or 1, C), added to the tokens in each direction.
        eps: of the layer norm.

    Returns:
        (D, B, R, C), in the type of the queries. Under autocast the large products are of its precision.

    Raises:
        ValueError: the tokens require a gradient.
    """
    if tokens.requires_grad:
        raise ValueError("got tokens that require a gradient, expected frozen ones")
    kind = tokens.device.type
    precision = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else queries.dtype
    kept = torch.is_grad_enabled() and (queries.requires_grad or codes.requires_grad)
    with torch.autocast(kind, enabled=False):
        # Clips before directions: the products of one clip then lie together.
        rows = queries.transpose(0, 1), tokens.flatten(1, 2), codes.flatten(1, 2)
        mixed: Tensor = _Attend.apply(*rows, eps, precision, kept)  # type: ignore[no-untyped-call]
    return mixed.transpose(0, 1)


class _Attend(torch.autograd.Function):
    """Queries (B or 1, D or 1, R, C), tokens (B, N, C) and codes (D, T or N, C) to (B, D, R, C)."""

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, tokens: Tensor, codes: Tensor, eps: float, precision: torch.dtype, kept: bool
    ) -> Tensor:
        (clips, number, width), directions = tokens.shape, len(codes)
        queries, codes = queries.detach(), codes.detach()
        centred, exact = _centred(queries), _exact(queries)
        coded = _times(centred, codes.transpose(1, 2), precision)  # (B or 1, D, R, T or N)
        mixed = tokens.new_empty((clips, directions, queries.shape[2], width), dtype=exact)
        scores = tokens.new_empty((clips if kept else 0, directions, queries.shape[2], number), dtype=exact)
        means, inverses = (tokens.new_empty((clips, directions, number), dtype=exact) for _ in range(2))
        media_of = _Media(tokens, codes, precision)
        for part in _parts(tokens):
            x, media = media_of(part)
            means[part], inverses[part] = _statistics(x, codes, media, eps)
            products = _products(_of(centred, part).to(precision), x).to(exact)
            inverse = inverses[part][:, :, None]
            score = (_by_code(products, codes) + _of(coded, part)[..., None]).flatten(-2).mul_(inverse)
            if kept:
                scores[part] = score
            weight = score.softmax(-1).mul_(inverse)
            mixed[part] = _mixture(weight, x, codes, media) - weight @ means[part][..., None]
        ctx.save_for_backward(queries, tokens, codes, mixed, scores, means, inverses)
        ctx.precision = precision
        return mixed.to(queries.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        queries, tokens, codes, mixed, scores, means, inverses = ctx.saved_tensors
        centred, width, shared = _centred(queries), tokens.shape[-1], len(queries) == 1
        to_mixed = _centred(gradient.to(mixed.dtype))
        to_queries, to_codes = (torch.zeros_like(values, dtype=mixed.dtype) for values in (queries, codes))
        collected = to_mixed.new_zeros((*to_mixed.shape[1:3], codes.shape[1]))  # (D, R, T or N)
        factors, offsets = (to_mixed.new_zeros(codes.shape[:2]) for _ in range(2))  # (D, T or N)
        media_of = _Media(tokens, codes, ctx.precision)
        for part in _parts(tokens):
            x, media = media_of(part)
            g, score, inverse = to_mixed[part], scores[part], inverses[part]
            attention = score.softmax(-1)
            to_attention = _products_with_codes(g, x, codes, media).mul_(inverse[:, :, None])
            to_score = (to_attention - (g * mixed[part]).sum(-1, keepdim=True)).mul_(attention)
            norm = (to_attention.mul_(attention) + to_score * score).sum(2).mul_(inverse.square()).div_(width)
            weight, to_score = attention.mul_(inverse[:, :, None]), to_score.mul_(inverse[:, :, None])

            summed = to_score if queries.shape[1] > 1 else to_score.sum(1, keepdim=True)
            of_tokens = _mix(summed.to(ctx.precision), x).to(mixed.dtype)
            gathered = _by_code(to_score, codes).sum(-1)
            _add_outer(to_codes, _by_code(weight, codes).sum(-1), g, ctx.precision)
            _take_tokens(to_codes, _by_code(norm, codes), x)
            factors += _by_code(norm, codes).sum((0, 3))
            offsets += _by_code(norm * means[part], codes).sum((0, 3))
            if shared:
                to_queries += of_tokens.sum(0)
                collected += gathered.sum(0)
            else:
                of_codes = _times(gathered, codes, ctx.precision)
                to_queries[part] = of_tokens + (of_codes if queries.shape[1] > 1 else of_codes.sum(1, keepdim=True))
                _add_outer(to_codes, gathered, _of(centred, part).expand(-1, len(codes), -1, -1), ctx.precision)
        if shared:
            of_codes = _times(collected, codes, ctx.precision)
            to_queries += of_codes if queries.shape[1] > 1 else of_codes.sum(0)
            to_codes += _times(collected.transpose(1, 2), centred[0], ctx.precision)
        to_codes.addcmul_(factors[..., None], codes, value=-1).add_(offsets[..., None])
        return _centred(to_queries).to(queries.dtype), None, to_codes.to(codes.dtype), None, None, None


def _exact(values: Tensor) -> torch.dtype:
    """Softmax and statistics are never of half precision."""
    return torch.promote_types(values.dtype, torch.float32)


def _parts(tokens: Tensor) -> list[slice]:
    """A few clips at a time."""
    room = CHUNK.get(tokens.device.type, CHUNK_ELSEWHERE)
    clips = max(1, room // max(1, tokens.shape[1] * tokens.shape[2] * 4))
    return [slice(begin, min(begin + clips, len(tokens))) for begin in range(0, len(tokens), clips)]


def _of(rows: Tensor, part: slice) -> Tensor:
    """Some clips' rows, or the row that all clips share."""
    return rows if len(rows) == 1 else rows[part]


def _centred(rows: Tensor) -> Tensor:
    return rows - rows.mean(-1, keepdim=True)


def _by_code(rows: Tensor, codes: Tensor) -> Tensor:
    """(..., N) as (..., T, P) where the tokens of a frame share a code, else as (..., N, 1)."""
    return rows.view(*rows.shape[:-1], codes.shape[1], -1)


class _Media:
    """Some clips' tokens x (b, N, C) in the working precision, valid until the next clips are asked for.

    Where every token has a code of its own, also what they are with it in each direction. All clips share the memory:
    taking it anew each time costs as much as filling it.
    """

    def __init__(self, tokens: Tensor, codes: Tensor, precision: torch.dtype) -> None:
        self._tokens, self._precision = tokens, precision
        self._codes = codes.to(precision) if codes.shape[1] == tokens.shape[1] else None
        most = max((part.stop - part.start for part in _parts(tokens)), default=0)
        shape = (most, *tokens.shape[1:])
        self._exact = tokens.new_empty(shape, dtype=_exact(codes))
        self._x = self._exact if precision == self._exact.dtype else tokens.new_empty(shape, dtype=precision)
        self._media = [] if self._codes is None else [tokens.new_empty(shape, dtype=precision) for _ in codes]

    def __call__(self, part: slice) -> tuple[Tensor, list[Tensor] | None]:
        clips = part.stop - part.start
        x, exact = self._x[:clips], self._exact[:clips].copy_(self._tokens[part])
        if self._x is not self._exact:
            # A norm takes the mean off anyway; rounding tokens that still have it could cost all that tells them apart.
            x.copy_(exact.sub_(exact.mean(-1, keepdim=True)))
        if self._codes is None:
            return x, None
        return x, [torch.add(x, code, out=room[:clips]) for code, room in zip(self._codes, self._media, strict=True)]


def _statistics(x: Tensor, codes: Tensor, media: list[Tensor] | None, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and 1 / standard deviation (b, D, N) of the tokens with their codes."""
    if media is not None:
        pairs = [_mean_and_inverse(values, codes, eps) for values in media]
        return torch.stack([mean for mean, _ in pairs], 1), torch.stack([inverse for _, inverse in pairs], 1)
    mean, inverse = _mean_and_inverse(x, codes, eps)
    codes_variance, codes_mean = torch.var_mean(codes, -1, correction=0)
    frames = x.view(len(x), codes.shape[1], -1, x.shape[-1])  # (b, T, P, C)
    with_codes = frames @ _centred(codes).permute(1, 2, 0).to(x.dtype)  # (b, T, P, D)
    covariance = with_codes.permute(0, 3, 1, 2).to(mean.dtype) / x.shape[-1]
    # The variance of a sum; inverse has eps in it already.
    variance = _by_code(inverse.pow(-2)[:, None], codes) + 2 * covariance + codes_variance[..., None]
    of_mean = _by_code(mean[:, None], codes) + codes_mean[..., None]
    return of_mean.flatten(2), variance.clamp_(min=eps).rsqrt_().flatten(2)


def _mean_and_inverse(values: Tensor, codes: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Of rows (b, N, C); a layer norm finds them ten times faster than var_mean does."""
    normed = torch.native_layer_norm(values.to(_exact(codes)), [values.shape[-1]], None, None, eps)
    return normed[1].squeeze(-1), normed[2].squeeze(-1)


def _products(vectors: Tensor, x: Tensor) -> Tensor:
    """Vectors (b or 1, D, R, C) by tokens (b, N, C): (b, D, R, N)."""
    rows = vectors.flatten(1, 2).expand(len(x), -1, -1)
    return torch.bmm(rows, x.transpose(1, 2)).view(len(x), *vectors.shape[1:3], -1)


def _mix(weights: Tensor, x: Tensor) -> Tensor:
    """Weights (b, D, R, N) by tokens (b, N, C): (b, D, R, C)."""
    return torch.bmm(weights.flatten(1, 2), x).view(*weights.shape[:3], -1)


def _products_with_codes(vectors: Tensor, x: Tensor, codes: Tensor, media: list[Tensor] | None) -> Tensor:
    """Vectors (b, D, R, C) by tokens with their codes: (b, D, R, N)."""
    few = vectors.to(x.dtype)
    if media is not None:
        each = [torch.bmm(few[:, index], values.transpose(1, 2)) for index, values in enumerate(media)]
        return torch.stack(each, 1).to(vectors.dtype)
    products = _products(few, x).to(vectors.dtype)
    _by_code(products, codes).add_((vectors @ codes.transpose(1, 2))[..., None])
    return products


def _mixture(weights: Tensor, x: Tensor, codes: Tensor, media: list[Tensor] | None) -> Tensor:
    """Tokens with their codes mixed by weights (b, D, R, N): (b, D, R, C)."""
    few = weights.to(x.dtype)
    if media is not None:
        each = [torch.bmm(few[:, index], values) for index, values in enumerate(media)]
        return torch.stack(each, 1).to(weights.dtype)
    return _mix(few, x).to(weights.dtype) + _by_code(weights, codes).sum(-1) @ codes


def _add_outer(total: Tensor, rows: Tensor, vectors: Tensor, precision: torch.dtype) -> None:
    """Add to (D, T or N, C) the products of rows (b, D, R, T or N) and vectors (b, D, R, C), summed over b and R."""
    for index in range(len(total)):
        left, right = (values[:, index].flatten(0, 1).to(precision) for values in (rows, vectors))
        total[index] += left.t() @ right


def _take_tokens(total: Tensor, factors: Tensor, x: Tensor) -> None:
    """Take from (D, T or N, C) the tokens times factors (b, D, T, P) or (b, D, N, 1), summed over b and P."""
    if factors.shape[-1] > 1:
        frames = x.view(len(x), factors.shape[2], -1, x.shape[-1])
        total -= (factors.transpose(1, 2).to(x.dtype) @ frames).sum(0).transpose(0, 1)
    else:
        for factor, clip in zip(factors, x, strict=True):
            total.addcmul_(factor, clip, value=-1)


def _times(left: Tensor, right: Tensor, precision: torch.dtype) -> Tensor:
    return (left.to(precision) @ right.to(precision)).to(left.dtype)
