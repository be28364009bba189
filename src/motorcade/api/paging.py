"""Pages of lists, as Tesla's API counts them: `page` from 1, `per_page` entries."""

from typing import Final, NamedTuple

from motorcade.api.counter import AnyRequest, read_whole
from motorcade.api.shapes import Pagination

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000
PAGE_NUMBER_MAX: Final = 10**8


class Page(NamedTuple):
    """Which part of a list is asked for."""

    number: int  # from 1
    size: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    def pagination(self, count: int) -> Pagination:
        """What the answer says about a list of `count` entries."""
        pages = max(1, -(-count // self.size))
        return Pagination(
            previous=self.number - 1 if self.number > 1 else None,
            next=self.number + 1 if self.number < pages else None,
            current=self.number,
            per_page=self.size,
            count=count,
            pages=pages,
        )


def read_page(request: AnyRequest, default: int = PAGE_DEFAULT) -> Page:
    """`page` and `per_page` of the query. Raises the 400."""
    query = request.query_params
    number = read_whole(query.get("page"), "page", 1, 1, PAGE_NUMBER_MAX)
    return Page(number, read_whole(query.get("per_page"), "per_page", default, 1, PAGE_MAX))
