"""The folder that a job writes into: one of this machine, or of any filesystem that pyarrow knows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import InputError, JobError
from ..files import replacing
from ..records.parquet import pa

# The filesystems where a file appears when it is complete; elsewhere it is renamed then.
_OBJECT_STORES = ("s3", "gcs", "abfs")


class Output:
    """A folder whose files appear whole or not at all.

    Args:
        where: a path, or the URI of a folder that `pyarrow.fs.FileSystem.from_uri` knows, such as s3://bucket/folder.

    Raises:
        InputError: the URI is not one of a filesystem that pyarrow knows, or the path is a file.
    """

    def __init__(self, where: str) -> None:
        from pyarrow import fs

        self.where = where
        self.location = where if "://" in where else os.path.abspath(where)  # the same from any folder
        try:
            self._files, self._path = fs.FileSystem.from_uri(self.location)
            kind = self._files.get_file_info(self._path).type
        except (OSError, ValueError) as error:  # ValueError: pa.ArrowInvalid too
            raise InputError(f"the output {where} cannot be opened: {error}") from error
        if kind == fs.FileType.File:
            raise InputError(f"the output {where} is a file: name a folder")
        self._is_local = isinstance(self._files, fs.LocalFileSystem)

    def names(self) -> set[str]:
        """The names of the files and folders in it, but for hidden ones; none if it does not exist."""
        from pyarrow import fs

        with self._reporting("read"):
            found = self._files.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
        return {one.base_name for one in found if not one.base_name.startswith(".")}

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        from pyarrow import fs

        with self._reporting("read"):
            return bool(self._files.get_file_info(f"{self._path}/{name}").type == fs.FileType.File)

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            JobError: it cannot be read.
        """
        with self._reporting("read"), self.opened(name) as file:
            content: bytes = file.read()
        return content

    @contextmanager
    def opened(self, name: str) -> Iterator[Any]:
        """A file as pyarrow reads it, at any position.

        Raises:
            JobError: it cannot be read.
        """
        with self._reporting("read"):
            file = self._files.open_input_file(f"{self._path}/{name}")
        with file:
            yield file

    def write(self, name: str, content: bytes) -> None:
        """Write a file.

        Raises:
            JobError: it cannot be written.
        """
        with self.writing(name) as path:
            path.write_bytes(content)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a file of this machine to write to. At the end it appears under the name, whole and on the disk.

        Raises:
            JobError: it cannot be written.
        """
        with self._reporting("written"):
            if self._is_local:
                os.makedirs(self._path, exist_ok=True)
                with replacing(Path(self._path, name)) as temporary:
                    yield temporary
                return
            with TemporaryDirectory() as folder:
                temporary = Path(folder, name)
                yield temporary
                self._put(temporary, name)

    def _put(self, source: Path, name: str) -> None:
        from pyarrow import fs

        target = f"{self._path}/{name}"
        if self._files.type_name in _OBJECT_STORES:
            fs.copy_files(str(source), target, destination_filesystem=self._files)
            return
        self._files.create_dir(self._path, recursive=True)
        beside = f"{self._path}/.{name}.{os.urandom(4).hex()}"
        fs.copy_files(str(source), beside, destination_filesystem=self._files)
        self._files.move(beside, target)

    @contextmanager
    def _reporting(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            number = getattr(error, "errno", None)
            why = os.strerror(number) if number else error
            raise JobError(f"the output {self.where} cannot be {what}: {why}") from error
