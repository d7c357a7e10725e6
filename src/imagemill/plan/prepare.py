"""From a request to a plan: policy, negotiation and key; all of it before the source is read."""

from msgspec.structs import replace

from imagemill.model.errors import LimitExceeded
from imagemill.model.keys import result_key, source_key
from imagemill.model.media import Format
from imagemill.model.recipe import Background, Blur, Encode, Fit, Recipe, Resize, Sharpen
from imagemill.model.request import ImageRequest, Plan
from imagemill.plan.lifetime import allowed_ttl
from imagemill.plan.negotiate import CLASSES, candidates
from imagemill.settings import Limits

_EXACT = frozenset({Fit.CONTAIN, Fit.FILL})
_LOSSLESS = frozenset({Format.PNG, Format.GIF})


def prepare(request: ImageRequest, limits: Limits, accept: bytes = b"") -> Plan:
    """Apply *limits* to *request* and name the result, or raise `LimitExceeded`."""
    recipe = normal(request.recipe)
    check(recipe, limits)
    ttl_s = allowed_ttl(request.ttl_s, limits)
    auto = _is_auto(recipe)
    accepted = candidates(accept) if auto else ()
    return Plan(
        key=result_key(request.source, recipe, accepted),
        source=request.source,
        source_key=source_key(request.source),
        recipe=recipe,
        candidates=accepted,
        vary=("Accept",) if auto else (),
        ttl_s=ttl_s,
        asked_ttl_s=request.ttl_s if request.ttl_s != ttl_s else None,
        expires_at_s=request.expires_at_s,
        tags=tuple(sorted(request.tags)),
        filename=request.filename,
        attachment=request.attachment,
    )


def result_keys(request: ImageRequest) -> tuple[str, ...]:
    """The keys of all that *request* may be answered with, whoever asks: one for each negotiation class."""
    recipe = normal(request.recipe)
    negotiated = CLASSES if _is_auto(recipe) else ((),)
    return tuple(result_key(request.source, recipe, accepted) for accepted in negotiated)


def _is_auto(recipe: Recipe) -> bool:
    return isinstance(recipe[-1], Encode) and recipe[-1].format is Format.AUTO


def normal(recipe: Recipe) -> Recipe:
    """The same work under one name: an `Encode` last, no quality where it has no effect."""
    if not recipe or not isinstance(recipe[-1], Encode):
        return (*recipe, Encode())
    last = recipe[-1]
    return (*recipe[:-1], replace(last, quality=0)) if last.format in _LOSSLESS and last.quality else recipe


def check(recipe: Recipe, limits: Limits) -> None:
    """Refuse what no source could make acceptable."""
    if len(recipe) > limits.operations:
        raise LimitExceeded("operations", f"operations: {len(recipe)} > {limits.operations}")
    for op in recipe:
        match op:
            case Resize():
                _check_box(op, limits)
            case Blur():
                _check_sigma("blur", op.sigma_centi, limits.blur_sigma)
            case Sharpen():
                _check_sigma("sharpen", op.sigma_centi, limits.sharpen_sigma)


def background(recipe: Recipe) -> int | None:
    """The colour a recipe lays its picture on, if any."""
    return next((op.rgba for op in recipe if isinstance(op, Background)), None)


def _check_box(op: Resize, limits: Limits) -> None:
    side = max(op.width_px, op.height_px)
    if side > limits.output_side_px:
        raise LimitExceeded("output_side", f"output: {side} > {limits.output_side_px} px a side")
    certain = op.fit in _EXACT and (op.enlarge or op.fit is Fit.CONTAIN)
    if certain and op.width_px * op.height_px > limits.output_pixels:
        raise LimitExceeded("output_pixels", f"output: {op.width_px * op.height_px} > {limits.output_pixels} px")


def _check_sigma(name: str, centi: int, most: int) -> None:
    if centi > most * 100:
        raise LimitExceeded(name, f"{name}: sigma {centi / 100:g} > {most}")
