"""Say what would be done for a plan, and do nothing."""

from typing import Any

import msgspec

from imagemill.model.entry import OF_LAYER
from imagemill.model.errors import ImagemillError
from imagemill.model.keys import source_key
from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import sources
from imagemill.model.request import Plan, SourceRef
from imagemill.plan.cost import estimate_us
from imagemill.plan.geometry import Box
from imagemill.plan.resolve import resolved
from imagemill.plan.steps import Steps
from imagemill.settings import Engine, Limits

_SUPPOSED = MediaInfo(Format.JPEG, 4000, 3000)
"""The source is not read: its cost is told for a photograph of 12 megapixels, of which nothing is trimmed."""
_SUPPOSED_LAYER = MediaInfo(Format.PNG, 800, 600, channels=4, has_alpha=True)


def explain(plan: Plan, tier: str, limits: Limits, engine: Engine) -> dict[str, Any]:
    """The plan as plain values, with its cost and the tier that would answer."""
    return {
        "source": _named(plan.source),
        "layers": [_named(source) for source in sources(plan.recipe)],
        "recipe": msgspec.to_builtins(plan.recipe),
        "accepted_formats": list(plan.candidates),
        "key": plan.key,
        "tier": tier,
        "ttl_s": plan.ttl_s,
        "tags": [tag for tag in plan.tags if not tag.startswith(OF_LAYER)],
        "expires_at_s": plan.expires_at_s,
        "filename": plan.filename,
        "attachment": plan.attachment,
        "vary": list(plan.vary),
        "estimate": _estimate(plan, limits, engine),
    }


def _named(source: SourceRef) -> dict[str, str]:
    return {"scheme": source.scheme, "address": source.address, "key": source_key(source)}


def _estimate(plan: Plan, limits: Limits, engine: Engine) -> dict[str, Any]:
    supposed = f"a {_SUPPOSED.format} source of {_SUPPOSED.width_px} x {_SUPPOSED.height_px} px"
    if sources(plan.recipe):
        layer = _SUPPOSED_LAYER
        supposed += f", layers of {layer.format} of {layer.width_px} x {layer.height_px} px"
    try:
        layers = dict.fromkeys(sources(plan.recipe), _SUPPOSED_LAYER)
        steps = resolved(plan.recipe, plan.candidates, _SUPPOSED, limits, _untrimmed, engine, layers)
    except ImagemillError as e:
        return {"for": supposed, "refused": e.code, "detail": str(e)}
    return {
        "for": supposed,
        "format": steps.format,
        "width_px": steps.size.width,
        "height_px": steps.size.height,
        "decode_shrink": steps.shrink,
        "cpu_ms": round(estimate_us(steps, engine) / 1000, 1),
        "cpu_limit_ms": limits.cpu_s * 1000,
    }


def _untrimmed(steps: Steps) -> Box:
    return Box(0, 0, steps.size.width, steps.size.height)
