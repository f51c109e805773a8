"""What a path on the command line may be: data, a file of results, a page, a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tumorlens.errors import UsageError
from tumorlens.remote.file_addresses import drop_host
from tumorlens.writing import check_page_name

__all__ = ["DATA", "FILE", "FOLDER", "PAGE"]


class _Data(click.Path):
    """A path, or an address; the host of ``file://HOST/PATH`` is not taken for a folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(drop_host(value), param, ctx)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class _Named(_Data):
    """A path that has a name: ``-``, which means a stream elsewhere, would become a file."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value) == "-":
            self.fail(
                "expected a name, and '-' is none. Without --output, a result goes to standard "
                "output; a file of this name is './-'",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


class _Page(_Named):
    """A page for people, under a name that programs open as one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            check_page_name(Path(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return super().convert(value, param, ctx)


FILE = _Named(path_type=Path, dir_okay=False)
PAGE = _Page(path_type=Path, dir_okay=False)
FOLDER = _Named(path_type=Path, file_okay=False)
DATA = _Data(path_type=Path)
