"""From a request to a plan: policy, negotiation and key; all of it before the source is read."""

from msgspec.structs import replace

from imagemill.model.errors import LimitExceeded
from imagemill.model.keys import result_key, source_key
from imagemill.model.media import Format
from imagemill.model.recipe import Describe, Encode, Recipe
from imagemill.model.request import ImageRequest, Plan
from imagemill.plan.lifetime import allowed_ttl
from imagemill.plan.negotiate import CLASSES, candidates
from imagemill.plan.operations import CHECK
from imagemill.settings import Limits

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
    """The same work under one name: an `Encode` or `Describe` last, no quality where it has no effect."""
    if recipe and isinstance(recipe[-1], Describe):
        return recipe
    if not recipe or not isinstance(recipe[-1], Encode):
        return (*recipe, Encode())
    last = recipe[-1]
    return (*recipe[:-1], replace(last, quality=0)) if last.format in _LOSSLESS and last.quality else recipe


def check(recipe: Recipe, limits: Limits) -> None:
    """Refuse what no source could make acceptable."""
    if len(recipe) > limits.operations:
        raise LimitExceeded("operations", f"operations: {len(recipe)} > {limits.operations}")
    for op in recipe:
        if judge := CHECK.get(type(op)):
            judge(op, limits)
