"""Tokens made by the vendor's npm package, as its own users make them."""

from .callbacks import run_javascript
from .places import KEPT
from .product import CERTIFICATE, EMBEDDED

PACKAGE = KEPT / "node" / "node_modules" / "agora-token"
BUILD = f"""
const [file, builder, call, values] = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(require("{PACKAGE}/src/" + file)[builder][call](...values)));
"""


def build(file, builder, call, *values, certificate=CERTIFICATE):
    """What a function of a builder makes of the embedded app, its certificate and these values."""
    return run_javascript(BUILD, [file, builder, call, [EMBEDDED, certificate, *values]])
