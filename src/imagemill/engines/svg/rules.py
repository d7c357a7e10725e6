"""What a vector picture may hold: elements, attributes, functions, and how much of each.

Units    lengths as in the file, against the longer side of its view; counts as they stand.
Source   SVG 1.1 (second edition) and SVG 2, as far as librsvg 2.61 draws them; CSS Values and Units 3.
"""

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
XML = "http://www.w3.org/XML/1998/namespace"

MOST_DEPTH = 128
"""Elements in elements; libxml2 refuses more than 256, and ours recurse."""
MOST_NODES = 50_000
MOST_ATTRIBUTES = 128
"""Of one element."""
MOST_VALUE = 16_384
"""Characters of an attribute; paths and embedded pictures may have as many as the file."""
MOST_STYLE_RULES = 2_000
MOST_STYLE_MATCHES = 2_000_000
"""Selectors of a style sheet times elements."""
MOST_DRAWN = 100_000
"""Elements, each as often as it is used."""
MOST_VERTICES = 2_000_000
"""Points of paths, each as often as it is used."""
MOST_PRIMITIVES = 800
"""Filter primitives, each as often as it is used; those that take longer than others count as several."""
MOST_REFERENCES = 32
"""References that lead to references, one in the other."""
MOST_BLUR_SHARE = 0.5
"""Largest blur, as a share of the longer side of the view."""
MOST_MORPHOLOGY_SHARE = 0.05
MOST_KERNEL = 15
"""Side of a convolution matrix."""
MOST_OCTAVES = 10
FINEST_DASH_SHARE = 1 / 20_000
"""Shortest dash and gap together, as a share of the longer side of the view."""

TEXT = frozenset({"text", "tspan", "textPath"})
"""Elements of which the characters are drawn."""
SHAPES = frozenset({"path", "rect", "circle", "ellipse", "line", "polyline", "polygon"})
SERVERS = frozenset({"linearGradient", "radialGradient", "stop", "pattern", "clipPath", "mask", "marker", "filter"})
PRIMITIVES = frozenset({
    "feBlend", "feColorMatrix", "feComponentTransfer", "feComposite", "feConvolveMatrix", "feDiffuseLighting",
    "feDisplacementMap", "feDropShadow", "feFlood", "feGaussianBlur", "feImage", "feMerge", "feMorphology", "feOffset",
    "feSpecularLighting", "feTile", "feTurbulence",
})  # fmt: skip
ELEMENTS = (
    TEXT | SHAPES | SERVERS | PRIMITIVES
    | {"svg", "g", "defs", "symbol", "use", "switch", "a", "style", "image"}
    | {"feDistantLight", "fePointLight", "feSpotLight", "feFuncR", "feFuncG", "feFuncB", "feFuncA", "feMergeNode"}
)  # fmt: skip
"""All else goes, with what is in it: scripts, foreign objects, animation, metadata."""
EMBEDDING = frozenset({"image", "feImage"})

PROPERTIES = frozenset({
    "alignment-baseline", "baseline-shift", "clip", "clip-path", "clip-rule", "color", "color-interpolation",
    "color-interpolation-filters", "direction", "display", "dominant-baseline", "enable-background", "fill",
    "fill-opacity", "fill-rule", "filter", "flood-color", "flood-opacity", "font", "font-family", "font-size",
    "font-size-adjust", "font-stretch", "font-style", "font-variant", "font-weight",
    "glyph-orientation-vertical", "image-rendering", "isolation", "kerning", "letter-spacing",
    "lighting-color", "line-height", "marker", "marker-end", "marker-mid", "marker-start", "mask",
    "mask-type", "mix-blend-mode", "opacity", "overflow", "paint-order", "shape-rendering", "stop-color",
    "stop-opacity", "stroke", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin",
    "stroke-miterlimit", "stroke-opacity", "stroke-width", "text-anchor", "text-decoration",
    "text-orientation", "text-rendering", "transform", "transform-origin", "unicode-bidi", "vector-effect",
    "visibility", "white-space", "word-spacing", "writing-mode", "cx", "cy", "r", "rx", "ry", "x", "y",
    "width", "height",
})  # fmt: skip
"""What CSS may say; as attributes, too."""
ATTRIBUTES = PROPERTIES | frozenset({
    "id", "class", "type", "media", "lang", "d", "points", "x1", "x2", "y1", "y2", "fx", "fy", "fr", "dx",
    "dy", "rotate", "textLength", "lengthAdjust", "startOffset", "method", "spacing", "side", "viewBox",
    "preserveAspectRatio", "pathLength", "offset", "gradientUnits", "gradientTransform", "spreadMethod",
    "patternUnits", "patternContentUnits", "patternTransform", "clipPathUnits", "maskUnits",
    "maskContentUnits", "markerUnits", "markerWidth", "markerHeight", "refX", "refY", "orient", "filterUnits",
    "primitiveUnits", "in", "in2", "result", "mode", "values", "tableValues", "slope", "intercept",
    "amplitude", "exponent", "operator", "k1", "k2", "k3", "k4", "order", "kernelMatrix", "divisor", "bias",
    "targetX", "targetY", "edgeMode", "preserveAlpha", "surfaceScale", "diffuseConstant", "specularConstant",
    "specularExponent", "scale", "xChannelSelector", "yChannelSelector", "stdDeviation", "radius",
    "baseFrequency", "numOctaves", "seed", "stitchTiles", "azimuth", "elevation", "z", "pointsAtX",
    "pointsAtY", "pointsAtZ", "limitingConeAngle", "systemLanguage", "requiredFeatures", "requiredExtensions",
    "version",
})  # fmt: skip
LONG = frozenset({"d", "points"})
NAMES = frozenset({"id", "class"})
"""Attributes that are never read as CSS: whatever they hold is a name."""
FUNCTIONS = frozenset({
    "url", "rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch", "color", "matrix", "translate",
    "translatex", "translatey", "scale", "scalex", "scaley", "rotate", "skewx", "skewy", "skew", "rect", "blur",
    "brightness", "contrast", "drop-shadow", "grayscale", "hue-rotate", "invert", "opacity", "saturate", "sepia",
})  # fmt: skip
"""Functions of values; one that is not here takes its whole value with it."""
PAINTED = frozenset({"fill", "stroke"})
MARKED = frozenset({"marker", "marker-start", "marker-mid", "marker-end"})
