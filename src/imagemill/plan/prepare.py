"""From a request to a plan: policy, negotiation and key; all of it before the source is read."""

from msgspec.structs import replace

from imagemill.model.client import ANYONE, Client
from imagemill.model.errors import LimitExceeded
from imagemill.model.keys import layer_tags, result_key, source_key
from imagemill.model.media import LOSSLESS, Format
from imagemill.model.recipe import Describe, Encode, Recipe, layers
from imagemill.model.request import ImageRequest, Plan
from imagemill.plan.grid import on_grid
from imagemill.plan.lifetime import allowed_ttl
from imagemill.plan.operations import CHECK
from imagemill.plan.operations.encoding import refuse_shallow
from imagemill.settings import Limits, Negotiation

SAVE_DATA = "Save-Data"
NEGOTIATION = Negotiation()


def prepare(request: ImageRequest, limits: Limits, client: Client = ANYONE, policy: Negotiation = NEGOTIATION) -> Plan:
    """Apply *limits* to the *request* of *client* and name the result, or raise `LimitExceeded`."""
    recipe, vary = _for(client, request, limits, policy)
    check(recipe, limits)
    ttl_s = allowed_ttl(request.ttl_s, limits)
    accepted = client.formats if _is_auto(recipe) else ()
    return Plan(
        key=result_key(request.source, recipe, accepted),
        source=request.source,
        source_key=source_key(request.source),
        recipe=recipe,
        candidates=accepted,
        vary=vary,
        ttl_s=ttl_s,
        asked_ttl_s=request.ttl_s if request.ttl_s != ttl_s else None,
        expires_at_s=request.expires_at_s,
        tags=tuple(sorted((*request.tags, *layer_tags(recipe)))),
        filename=request.filename,
        attachment=request.attachment,
    )


def result_key_of(request: ImageRequest, limits: Limits, client: Client, policy: Negotiation) -> str:
    """The key that `prepare` would give, whatever *limits* refuse."""
    recipe, _ = _for(client, request, limits, policy)
    return result_key(request.source, recipe, client.formats if _is_auto(recipe) else ())


def _for(client: Client, request: ImageRequest, limits: Limits, policy: Negotiation) -> tuple[Recipe, tuple[str, ...]]:
    """What is done for *client*, and the header fields that this may depend on."""
    told = replace(limits, grid_outside="round") if request.vary else limits  # no URL can know what a client will say
    recipe = on_grid(normal(request.recipe), told)
    vary = (*(("Accept",) if _is_auto(recipe) and policy.formats else ()), *request.vary)
    last = recipe[-1]
    if policy.client_hints and policy.save_data_quality and isinstance(last, Encode) and _takes_default(last):
        vary = (*vary, SAVE_DATA)
        if client.saves_data:
            recipe = (*recipe[:-1], replace(last, quality=policy.save_data_quality))  # the server's own: on any grid
    return recipe, vary


def _takes_default(last: Encode) -> bool:
    """Whether the quality is left to the server, and there is one."""
    return not (last.quality or last.target_centi or last.lossless or last.format in LOSSLESS)


def _is_auto(recipe: Recipe) -> bool:
    return isinstance(recipe[-1], Encode) and recipe[-1].format is Format.AUTO


def normal(recipe: Recipe) -> Recipe:
    """The same work under one name: an `Encode` or `Describe` last, no quality where it has no effect."""
    if recipe and isinstance(recipe[-1], Describe):
        return recipe
    if not recipe or not isinstance(recipe[-1], Encode):
        return (*recipe, Encode())
    last = recipe[-1]
    if last.format not in LOSSLESS or not (last.quality or last.target_centi):
        return recipe
    return (*recipe[:-1], replace(last, quality=0, target_centi=0))


def check(recipe: Recipe, limits: Limits) -> None:
    """Refuse what no source could make acceptable, of layers' own recipes, too."""
    _check(recipe, limits)
    refuse_shallow(recipe)
    for number, (depth, layer) in enumerate(layers(recipe), 1):
        if depth > limits.layer_depth:
            raise LimitExceeded("layer_depth", f"layers: {depth} > {limits.layer_depth} deep")
        if number > limits.layers:
            raise LimitExceeded("layers", f"layers: more than {limits.layers}")
        _check(layer.recipe, limits)


def _check(recipe: Recipe, limits: Limits) -> None:
    if len(recipe) > limits.operations:
        raise LimitExceeded("operations", f"operations: {len(recipe)} > {limits.operations}")
    for op in recipe:
        if judge := CHECK.get(type(op)):
            judge(op, limits)
