"""The help of each command as a page."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Iterator

import click


class HtmlFormatter(click.HelpFormatter):
    """Writes help as HTML in place of lines for a terminal."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how the command is called."""
        self.write(f"<pre><code>{html.escape(f'{prog} {args}'.strip())}</code></pre>")

    def write_heading(self, heading: str) -> None:
        """Write the title of a group of options or commands."""
        self.write(f"<h2>{html.escape(heading)}</h2>")

    def write_paragraph(self) -> None:
        """Write nothing: each paragraph closes itself."""

    def write_text(self, text: str) -> None:
        """Write paragraphs; one that begins with click's mark for it keeps its lines."""
        for paragraph in textwrap.dedent(text).strip().split("\n\n"):
            lines, kept = paragraph.removeprefix("\b\n"), paragraph.startswith("\b\n")
            body = html.escape(lines if kept else " ".join(lines.split()))
            self.write(f"<pre><code>{body}</code></pre>" if kept else f"<p>{body}</p>")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write options, or commands, with their descriptions."""
        entries = (f"<dt><code>{html.escape(name)}</code></dt><dd>{html.escape(text)}</dd>" for name, text in rows)
        self.write(f"<dl>{''.join(entries)}</dl>")


def commands(main: click.Command) -> Iterator[tuple[str, str, str]]:
    """For each command, and each of a group, its name ("oracle run"), its short help and its help as HTML."""
    yield from _commands(main, click.Context(main, info_name="lf-ref"))


def _commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, str, str]]:
    if context.parent:
        formatter = HtmlFormatter()
        command.format_help(context, formatter)
        name = context.command_path.partition(" ")[2]
        yield name, command.get_short_help_str(limit=200), formatter.getvalue()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _commands(inner, click.Context(inner, info_name=name, parent=context))
