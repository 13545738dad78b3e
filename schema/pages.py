"""How lists are paged: forward, by cursor."""

import strawberry

from dataloaders import cursors
from schema.presenting import presents


@strawberry.type(description="Forward paging only.")
@presents(cursors.PageInfo)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None
