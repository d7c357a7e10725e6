"""Say what would be done for a plan, and do nothing."""

from typing import Any

import msgspec

from imagemill.model.errors import ImagemillError
from imagemill.model.media import Format, MediaInfo
from imagemill.model.request import Plan
from imagemill.plan.cost import estimate_us
from imagemill.plan.resolve import resolve
from imagemill.settings import Engine, Limits

_SUPPOSED = MediaInfo(Format.JPEG, 4000, 3000)
"""The source is not read: its cost is told for a photograph of 12 megapixels."""


def explain(plan: Plan, tier: str, limits: Limits, engine: Engine) -> dict[str, Any]:
    """The plan as plain values, with its cost and the tier that would answer."""
    return {
        "source": {"scheme": plan.source.scheme, "address": plan.source.address, "key": plan.source_key},
        "recipe": msgspec.to_builtins(plan.recipe),
        "accepted_formats": list(plan.candidates),
        "key": plan.key,
        "tier": tier,
        "ttl_s": plan.ttl_s,
        "tags": list(plan.tags),
        "expires_at_s": plan.expires_at_s,
        "filename": plan.filename,
        "attachment": plan.attachment,
        "vary": list(plan.vary),
        "estimate": _estimate(plan, limits, engine),
    }


def _estimate(plan: Plan, limits: Limits, engine: Engine) -> dict[str, Any]:
    supposed = f"a {_SUPPOSED.format} source of {_SUPPOSED.width_px} x {_SUPPOSED.height_px} px"
    try:
        steps = resolve(plan.recipe, plan.candidates, _SUPPOSED, limits, engine=engine)
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
