"""One page of a list."""

from collections.abc import Mapping
from typing import Any

import marshmallow as ma

from app.api.schemas.fields import Whole

DEFAULT_PAGE_SIZE = 50
LARGEST_PAGE_SIZE = 10_000
LARGEST_PAGE = 10**9


class PageSchema(ma.Schema):
    """Both are optional: without them the whole list is answered."""

    page = Whole(maximum=LARGEST_PAGE, metadata={"description": "Which page; pages count from 1."})
    page_size = Whole(
        maximum=LARGEST_PAGE_SIZE,
        metadata={"description": f"Rows of a page; {DEFAULT_PAGE_SIZE} if only `page` is given."},
    )


def wanted_page(query: Mapping[str, Any]) -> tuple[int, int] | tuple[None, None]:
    """Return number and size of the page that a client asks for, by one or both; twice None where it wants all."""
    if "page" not in query and "page_size" not in query:
        return None, None
    return query.get("page", 1), query.get("page_size", DEFAULT_PAGE_SIZE)
