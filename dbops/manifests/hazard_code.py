"""A hazard's code as a value in manifests."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from dbops.manifests.spec import WRITTEN, complain, nearest, one_of
from dbops.sql.hazard import HAZARDS


def _check_hazard(code: str) -> str:
    known = ("all", *HAZARDS)
    if code not in known:
        raise complain(f"unknown hazard '{WRITTEN}'", expected=one_of(known), fix=nearest(code, known))
    return code


HazardCode = Annotated[str, AfterValidator(_check_hazard), WithJsonSchema({"enum": ["all", *HAZARDS]})]
