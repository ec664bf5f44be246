"""What a command reads and writes: its options in one decorator, and all that they ask for in one function."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..command_line import IMPOSSIBLE, INPUT, ManyOption, complete_file, input_option, one_line
from ..errors import InputError
from ..progress import progress
from ..records.columns import JSON_ALONE, Answers, Table, types_of
from ..records.record import ERROR, RESULT, Fields, Record
from ..records.sources import CsvRows, Files, Lines, Source, Text, find
from ..records.writing import ARRAYS, LINES, TABLES, json_line, path_to_write, write
from .group import in_flags
from .options import file_option, json_option, together
from .output import echo, print_json, writes_unicode
from .texts import one_text

if TYPE_CHECKING:
    from ..pipelines import Pipeline
    from ..records.answers import Stream

Command = TypeVar("Command", bound=Callable[..., Any])
Show = Callable[[Any], None]

TEXTS = Fields()
PAIRS = Fields(optional=("text_pair",))
RECORD = "record"


@dataclass(frozen=True)
class Inputs:
    """The inputs of a command, and where their results go.

    source: of the inputs, which are read by `fields`. many: whether there may be more than one. answers: the columns of
    a table of results. out: the file to write, or None to print. as_json, on_error: the options.
    """

    source: Source
    fields: Fields
    many: bool
    answers: Answers
    out: Path | None
    as_json: bool
    on_error: str

    def records(self) -> Iterator[Record]:
        """The inputs one by one."""
        from ..records.answers import records

        return records(self.source, self.fields)

    @contextmanager
    def table(self) -> Iterator[Table]:
        """The columns of a table of results; those of the other fields of lines are known when all have been read."""
        if self.out is None or self.out.suffix not in TABLES:
            yield Table({}, self.answers)
            return
        with self.source.kept():
            types = types_of(self.records()) if self.source.columns is None else self.source.columns
            inputs = self.fields.names.values()
            others = {name: type_ for name, type_ in types.items() if name not in inputs}
            yield Table(others, self.answers, errors=self.on_error == RECORD)


@dataclass(frozen=True)
class InputOutput:
    """The values of `input_options`; `read` checks them and opens the inputs."""

    fields: Fields
    answers: Answers
    what: str
    endings: Sequence[str]
    file: str | None
    lines: str | None
    files: tuple[str, ...]
    text_field: tuple[str, ...]
    out: str | None
    on_error: str
    as_json: bool

    @property
    def is_one(self) -> bool:
        """Whether there is one input, and not those of --lines or --files."""
        return self.lines is None and not self.files

    def read(self, text: str | None, **shared: Any) -> Inputs:
        """The inputs that the options name, or the text of the command line, before the model is loaded.

        text: of the command line. shared: other fields from the command line, the same for all inputs.

        Raises:
            InputError: there is no input or more than one; options do not go together; a file does not fit.
        """
        ways = (
            f"give {self.what} as an argument, --file PATH, --lines PATH or --files GLOB (- for standard input as PATH)"
        )
        given = [one for one in (text, self.file, self.lines, self.files or None) if one is not None]
        if len(given) > 1:
            raise InputError(f"{ways}, only one of them; got {len(given)}")
        if self.text_field and self.lines is None:
            raise InputError("--text-field names a field of the inputs of --lines, which is not given")
        if self.on_error == RECORD and self.is_one:
            raise InputError("--on-error record goes with --lines or --files: there is only one input")
        out = self._path()
        columns = self.answers.types if out is not None and out.suffix in TABLES else [RESULT]
        taken = [*columns, *([ERROR] if self.on_error == RECORD else [])]
        fields = replace(self.fields, stored=self._stored(), shared=shared, taken=taken)
        source = self._source(text, fields, ways)
        self._check_apart(source)
        return Inputs(source, fields, not self.is_one, self.answers, out, self.as_json, self.on_error)

    def _path(self) -> Path | None:
        if self.out is None:
            return None
        if self.as_json:
            raise InputError("give either --json or --out, not both")
        path = path_to_write(self.out, self.endings)
        if path.suffix in ARRAYS and self.on_error == RECORD:
            raise InputError(f"an array has no place for errors: --on-error record needs --out {path.stem}.parquet")
        if path.suffix == ".parquet":
            from ..records import parquet  # noqa: F401 - it reports that pyarrow is missing
        return path

    def _check_apart(self, source: Source) -> None:
        """Refuse to replace an input by the results."""
        paths = source.paths if isinstance(source, Files) else filter(None, [self.file, self.lines])
        if self.out is None or not os.path.exists(self.out):
            return
        if any(os.path.exists(path) and os.path.samefile(path, self.out) for path in paths):
            raise InputError(f"--out {self.out} is an input too, which the results would replace: give another name")

    def _stored(self) -> dict[str, str]:
        """The names of fields in the file, as --text-field gives them."""
        stored: dict[str, str] = {}
        for given in self.text_field:
            field, _, name = given.partition("=")
            known = bool(name) and field in self.fields.names
            stored[field if known else self.fields.text] = name if known else given
        return stored

    def _source(self, text: str | None, fields: Fields, ways: str) -> Source:
        if self.files:
            return Files(find(self.files), fields.text)
        if self.lines is None:
            return Text(one_text(text, self.file, ways))
        ending = Path(self.lines).suffix.lower()
        if ending == ".parquet":
            from ..records.parquet import ParquetRows

            source: Source = ParquetRows(self.lines, fields.names.values())
        else:
            source = CsvRows(self.lines) if ending == ".csv" else Lines(self.lines)
        if source.columns is not None:
            fields.check(self.lines, source.columns)
        return source


def input_options(
    fields: Fields, answers: Answers = JSON_ALONE, what: str = "the text", arrays: bool = False
) -> Callable[[Command], Command]:
    """Options for inputs and results; the command gets them as `io`, an `InputOutput`.

    fields: of an input. answers: the columns of a table of results. what: the content of the file of --file. arrays:
    whether results are arrays, which NumPy's files may hold.
    """
    endings = (*(ARRAYS if arrays else ()), *LINES, *TABLES)
    options = together(
        file_option(what),
        input_option(
            "--lines",
            metavar="PATH|-",
            shell_complete=complete_file,
            help="Read an input from each line of a file, or each row of a .csv or .parquet file, and print a line of "
            f"JSON for each. A line is a text, a JSON string, or a JSON object with {_listed(fields)}. "
            'Other fields, such as "id", come out again, beside the "result".',
        ),
        click.option(
            "--files",
            cls=ManyOption,
            section=INPUT,
            metavar="GLOB|DIR...",
            shell_complete=complete_file,
            help=f"Read {what} from each of many files, and print a line of JSON for each, with the path as id.",
        ),
        input_option(
            "--text-field",
            multiple=True,
            metavar="NAME|FIELD=NAME",
            help=f"Name of the field or column of {what} (default: {fields.text}); FIELD=NAME for another. Repeatable.",
        ),
        input_option(
            "--out",
            metavar="PATH",
            shell_complete=complete_file,
            help=f"Write the results to a file, {', '.join(endings[:-1])} or {endings[-1]}, in place of printing them.",
        ),
        input_option(
            "--on-error",
            type=click.Choice(["stop", RECORD]),
            default="stop",
            show_default=True,
            help="Stop at an input that does not fit, or record its error in place of its result and go on.",
        ),
        json_option,
    )

    def decorate(function: Command) -> Command:
        @wraps(function)
        def collected(
            *args: Any,
            file: str | None,
            lines: str | None,
            files: tuple[str, ...],
            text_field: tuple[str, ...],
            out: str | None,
            on_error: str,
            as_json: bool,
            **others: Any,
        ) -> Any:
            io = InputOutput(
                fields, answers, what, endings, file, lines, files, text_field, out, on_error, as_json
            )  # fmt: skip
            return function(*args, io=io, **others)

        return options(collected)  # type: ignore[return-value]

    return decorate


def answer(pipe: Pipeline[Any], inputs: Inputs, show: Show, **options: Any) -> None:
    """Run a pipeline on the inputs, and print or write the results."""
    quiet = pipe.quiet
    pipe.quiet = quiet or inputs.many  # one bar is enough
    run(inputs, partial(pipe, **options), partial(pipe.stream, **options), show, pipe.task, quiet)


def run(inputs: Inputs, call: Callable[[Any], Any], stream: Stream, show: Show, task: str, quiet: bool) -> None:
    """Compute the results of the inputs, and print or write them.

    call: gives the result of a single input. stream: gives those of many. show: prints a result for people. task: the
    name of the work. quiet: show no progress.
    """
    if inputs.many:
        rows = _answers(inputs, stream, task, quiet)
    else:
        [record] = inputs.records()
        if isinstance(record.given, InputError):
            raise record.given
        rows = iter([(record, call(record.given))])
    count = _Counts()
    if inputs.out is not None:
        with inputs.table() as table:
            write(inputs.out, count.over(rows), table, alone=not inputs.many)
        if not quiet:
            unit = inputs.source.unit if count.all != 1 else inputs.source.unit.removesuffix("s")
            click.echo(f"wrote {inputs.out}: {count.all} {unit}", err=True)
    elif inputs.many:
        for record, result in count.over(rows):
            echo(json_line(record, result, ascii_only=not writes_unicode()))
    else:
        [(_, result)] = rows
        if inputs.as_json:
            print_json(result, indent=2)
        else:
            show(result)
    if count.failed:
        click.echo(f"Error: {count.failed} of {count.all} {inputs.source.unit} have an error, and no result", err=True)
        click.get_current_context().exit(IMPOSSIBLE)


@dataclass
class _Counts:
    """How many results there were, and how many errors in place of one."""

    all: int = 0
    failed: int = 0

    def over(self, rows: Iterator[tuple[Record, Any]]) -> Iterator[tuple[Record, Any]]:
        """Yield the rows and count them."""
        for record, result in rows:
            self.all += 1
            self.failed += isinstance(result, InputError)
            yield record, result


def _answers(inputs: Inputs, stream: Stream, task: str, quiet: bool) -> Iterator[tuple[Record, Any]]:
    """Records with their results, or their errors in words of the command line; and progress.

    On a terminal the results themselves show it, and a bar would stand between them.
    """
    from ..records.answers import answers

    command = click.get_current_context().command
    shown = inputs.out is None and sys.stdout is not None and sys.stdout.isatty()
    with progress(task, inputs.source.count(), inputs.source.unit, quiet=quiet or shown) as bar:
        for record, result in answers(stream, inputs.records(), inputs.on_error):
            failed = isinstance(result, InputError)
            yield record, InputError(in_flags(one_line(str(result)), command)) if failed else result
            bar.update()


def _listed(fields: Fields) -> str:
    names = ", ".join([*fields.required, *(f"{name} (optional)" for name in fields.optional)])
    return f"the field{'s' if len(fields.names) > 1 else ''} {names}"
