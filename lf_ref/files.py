"""The files of a checkpoint: the bundled demo, a folder, or a repository of the Hugging Face Hub."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath

from .errors import CheckpointError, CheckpointFileError, DownloadError, InputError

DEMO = "demo"
_DEMO_FOLDER = Path(__file__).parent / "demo"

# Files that a tokenizer may do without. A cache that knows nothing of them but holds one of these vocabularies was
# filled by a tool that took all there was, so they do not exist: they need no request either.
_TOKENIZER_OPTIONS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_NEEDLESS_WITH = dict.fromkeys((*_TOKENIZER_OPTIONS, "tokenizer.json"), _VOCABULARIES)

_SEPARATORS = "/\\\0:"

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


class Source:
    """A source of the files of one checkpoint; `name` is the argument that named it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find(self, filename: str, instead: Sequence[str] = ()) -> Path | None:
        """The local path of `filename`, or None where the source does not have it.

        instead: files that do as well. A cache that holds one of them is not filled up with `filename`.

        Raises:
            CheckpointError: `filename` is not a plain name.
            CheckpointFileError: it is not a file, or cannot be read.
        """
        raise NotImplementedError

    def require(self, filename: str) -> Path:
        """The local path of `filename`.

        Raises:
            CheckpointFileError: the source does not have it.
        """
        path = self.find(filename)
        if path is None:
            raise self.missing(filename)
        return path

    def missing(self, what: str) -> CheckpointFileError:
        """The error to raise if `what`, a file or one of several files, is missing, with the way out."""
        raise NotImplementedError


class Folder(Source):
    """A checkpoint in a local folder."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name)
        self.folder = folder

    def find(self, filename: str, instead: Sequence[str] = ()) -> Path | None:
        """The path of `filename` in the folder, or None."""
        _check_plain(self.name, filename)
        path = self.folder / filename
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            if path.is_symlink():
                raise CheckpointFileError(f"{path} is a symbolic link to a file that does not exist") from None
            return None
        except OSError as error:
            raise CheckpointFileError(f"{path} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(mode):
            # Opening a FIFO or a device could block for ever.
            kind = "folder" if stat.S_ISDIR(mode) else "special file"
            raise CheckpointFileError(f"{path} must be a file, got a {kind}")
        return path

    def missing(self, what: str) -> CheckpointFileError:
        """The error, with the files that the folder has."""
        held = sorted(entry.name for entry in self.folder.iterdir())
        listing = ", ".join(held[:20]) + (", ..." if len(held) > 20 else "") if held else "nothing"
        return CheckpointFileError(
            f"the folder {self.folder} has no {what} (it holds {listing}); give the folder that save_pretrained wrote, "
            f"or the id of a Hub repository"
        )


class Repository(Source):
    """A checkpoint on the Hugging Face Hub, read through huggingface_hub's cache.

    Files in the cache are not requested again, so a complete cache needs no network; a branch that has moved since is
    therefore not noticed. Every file comes from the commit of the first one. force_download: request each file once
    more. subfolder: the parts of the path to the files.
    """

    def __init__(
        self,
        name: str,
        revision: str | None,
        cache_dir: str | os.PathLike[str] | None,
        token: str | bool | None,
        local_files_only: bool,
        subfolder: tuple[str, ...],
        force_download: bool,
    ) -> None:
        super().__init__(name)
        self._asked = revision or "main"
        self._revision = self._asked  # a commit hash once one is known
        self._cache_dir = None if cache_dir is None else Path(cache_dir).expanduser()
        self._token = token
        self._local_files_only = local_files_only
        self._subfolder = subfolder
        self._force_download = force_download
        self._requested: set[str] = set()  # the files that were requested from the Hub
        if force_download and self._offline():
            raise InputError(
                "force_download=True requests files anew, which local_files_only or HF_HUB_OFFLINE rules out; leave one"
                " out"
            )

    def find(self, filename: str, instead: Sequence[str] = ()) -> Path | None:
        """The path of `filename` in the cache, downloaded if missing; None if it does not exist."""
        _check_plain(self.name, filename)
        known, path = self._look_up(filename)
        if not known and not self._needless(filename, instead) and not self._offline():
            if any(filename in vocabulary for vocabulary in _VOCABULARIES):
                # Options first, so that a download which breaks off does not leave a vocabulary without them.
                for option in _TOKENIZER_OPTIONS:
                    if not self._look_up(option)[0]:
                        self._download(option)
            path = self._download(filename)
        if path is not None:
            self._revision = path.parents[len(self._subfolder)].name
        return path

    def missing(self, what: str) -> CheckpointFileError:
        """The error for a file that does not exist, or that could not be requested."""
        if self._offline():
            return DownloadError(
                f"{self._path(what)} of {self.name} (revision {self._asked}) is not in the cache, and asking the Hub "
                f"is ruled out by local_files_only or HF_HUB_OFFLINE; load it once with the network, or give a folder"
            )
        return CheckpointFileError(
            f"the Hub repository {self.name} (revision {self._asked}) has no {self._path(what)}; give another "
            f"revision, such as 'refs/pr/7', or another repository"
        )

    def _path(self, filename: str) -> str:
        return "/".join((*self._subfolder, filename))

    def _look_up(self, filename: str) -> tuple[bool, Path | None]:
        """The state of a file in the cache: whether it is known, and its path, or None if it does not exist."""
        from huggingface_hub import try_to_load_from_cache

        if self._force_download and filename not in self._requested:
            return False, None
        path = self._path(filename)
        cached = try_to_load_from_cache(self.name, path, cache_dir=self._cache_dir, revision=self._revision)
        return cached is not None, Path(cached) if isinstance(cached, str) else None

    def _needless(self, filename: str, instead: Sequence[str]) -> bool:
        """Whether the cache has one of the files that make an unknown file unnecessary."""
        sets = (*((name,) for name in instead), *_NEEDLESS_WITH.get(filename, ()))
        return any(all(self._look_up(name)[1] is not None for name in whole) for whole in sets)

    def _offline(self) -> bool:
        from huggingface_hub import constants

        return self._local_files_only or bool(constants.HF_HUB_OFFLINE)

    def _download(self, filename: str) -> Path | None:
        """Download one file into the cache; None if it does not exist on the Hub."""
        from huggingface_hub import errors

        outer = sys.exc_info()[1]
        self._requested.add(filename)
        answers = (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.LocalTokenNotFoundError)
        try:
            try:
                return self._fetch(filename)
            except answers:
                raise
            except Exception:  # broke off; the second call takes up what has arrived
                return self._fetch(filename)
        except Exception as error:  # versions of huggingface_hub differ in their HTTP library and its errors
            absent = isinstance(error, errors.EntryNotFoundError)
            if absent and not isinstance(error, errors.LocalEntryNotFoundError):
                return None
            raise self._explain(error, filename, outer) from error

    def _fetch(self, filename: str) -> Path:
        from huggingface_hub import hf_hub_download

        with _progress_bars():
            path = hf_hub_download(
                self.name,
                self._path(filename),
                force_download=self._force_download,
                revision=self._revision,
                cache_dir=self._cache_dir,
                token=self._token,
                library_name="lf_ref",
            )
        return Path(path)

    def _explain(self, error: Exception, filename: str, outer: BaseException | None) -> CheckpointFileError:
        """The reason why a request failed, and the way out; outer: as in `_first_cause`."""
        from huggingface_hub import constants, errors

        where = f"{constants.ENDPOINT}/{self.name}"
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, errors.GatedRepoError):
            return CheckpointFileError(
                f"{self.name} is gated: accept its conditions on {where}, then log in with `hf auth login` or give "
                f"token="
            )
        if isinstance(error, errors.RepositoryNotFoundError):
            return CheckpointFileError(
                f"{self.name} is neither a folder here nor a repository on the Hub that you may read: check the "
                f"spelling; for a private one log in with `hf auth login` or give token="
            )
        if isinstance(error, errors.RevisionNotFoundError):
            return CheckpointFileError(
                f"{self.name} has no revision {self._revision!r}; give a branch, a tag, a commit hash or 'refs/pr/N'"
            )
        if isinstance(error, errors.LocalEntryNotFoundError):
            return DownloadError(
                f"{filename} of {self.name} is not in the cache, and {constants.ENDPOINT} did not give it "
                f"({_first_cause(error, outer)}): check the network and HF_ENDPOINT, or give a folder; there is "
                f"none of the name {self.name} here"
            )
        if status is not None:
            return DownloadError(f"{where} answered {status} for {filename}: {error}")
        return DownloadError(
            f"the download of {filename} from {self.name} failed: {error}; try again, and if that does not help, "
            f"delete the repository's *.incomplete files in the cache"
        )


def locate(
    name: str | os.PathLike[str] | None = None,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    subfolder: str | None = "",
    force_download: bool = False,
) -> Source:
    """Find a checkpoint by name, without touching the network yet.

    Args:
        name: None or the string "demo" for the bundled checkpoint (a folder of that name is "./demo"); a folder; or the
            id of a Hub repository. A folder goes before a repository. A `Path` is always a folder.
        revision: of a Hub repository: a branch, tag, commit hash or "refs/pr/N"; "main" by default.
        cache_dir: huggingface_hub's cache, if not the usual one.
        token: as in huggingface_hub.
        local_files_only: send no request to the Hub. `HF_HUB_OFFLINE=1` does the same.
        subfolder: of the folder or repository, where the files are: "a" or "a/b".
        force_download: download files again, also those in the cache.

    Raises:
        CheckpointError: the name is neither a text nor a path.
        CheckpointFileError: the name is of a file, of nothing, or not a valid repository id; the subfolder does not
        exist. InputError: subfolder leads elsewhere; force_download with local_files_only.
    """
    parts = parts_of(subfolder)
    if name is not None and not isinstance(name, str | os.PathLike):
        raise CheckpointError(f"a checkpoint is named by a text or a path, got {type(name).__name__}")
    if name is None or name == DEMO:
        return _folder(DEMO, _DEMO_FOLDER, parts)
    text = os.fspath(name)
    if os.path.isdir(text):
        return _folder(text, Path(text), parts)
    if os.path.lexists(text):
        parent = os.path.dirname(text) or "."
        raise CheckpointFileError(f"{text} is not a folder; give the folder that holds the files, perhaps {parent}")
    if not isinstance(name, str) or text.startswith((".", "~", os.sep)):
        raise CheckpointFileError(f"there is no folder {text}")
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(text)
    except HFValidationError as error:
        raise CheckpointFileError(
            f"{text!r} is neither a folder here nor the id of a Hub repository, such as 'allenai/longformer-base-4096'"
        ) from error
    return Repository(text, revision, cache_dir, token, local_files_only, parts, force_download)


def _folder(name: str, folder: Path, subfolder: tuple[str, ...]) -> Folder:
    inner = folder.joinpath(*subfolder)
    if not inner.is_dir():
        raise Folder(name, folder).missing(f"folder {'/'.join(subfolder)}")
    return Folder(name, inner)


def parts_of(subfolder: str | None) -> tuple[str, ...]:
    """The names of the folders of a relative path.

    Raises:
        InputError: it leads out of the checkpoint, or is no path.
    """
    parts = PurePosixPath(subfolder or "").parts if isinstance(subfolder, str | None) else ("/",)
    if any(part == ".." or any(letter in part for letter in _SEPARATORS) for part in parts):
        raise InputError(
            f"subfolder must be the path of a folder inside of the checkpoint, as 'a/b', got {subfolder!r}"
        )
    return parts


@contextmanager
def quiet_downloads() -> Iterator[None]:
    """Hide the progress bars of downloads within the block. Elsewhere they appear if standard error is a terminal."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path` to write to, and rename it at the end, so that no reader sees half of it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # minus the bits of the user's umask
    mode = temporary.stat().st_mode
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(mode)  # a library may have put a file of its own in this place
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_beside(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside `path`, then rename it, so that no reader sees half of it."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _check_plain(name: str, filename: str) -> None:
    """Refuse names that lead out of the folder: shard names come from a file that may be hostile."""
    if not filename or filename.startswith(".") or any(letter in filename for letter in _SEPARATORS):
        raise CheckpointError(f"{name}: a file of a checkpoint has a plain name without separators, got {filename!r}")


def _first_cause(error: BaseException, outer: BaseException | None) -> BaseException:
    """The error of the operating system below those of an HTTP library, whose layers repeat it.

    outer: the exception that the caller was handling before; it is not a cause.
    """
    cause, earlier = error.__cause__ or error, error.__cause__ or error.__context__
    while earlier is not None and earlier is not outer:
        if isinstance(earlier, OSError):
            cause = earlier
        earlier = earlier.__cause__ or earlier.__context__
    return cause


@contextmanager
def _progress_bars() -> Iterator[None]:
    """huggingface_hub's progress bars, off within `quiet_downloads`; its settings are restored afterwards."""
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import disable_progress_bars, progress_bar_states

    if not _quiet.get() or constants.HF_HUB_DISABLE_PROGRESS_BARS is not None:
        yield
        return
    before = dict(progress_bar_states)
    disable_progress_bars()
    try:
        yield
    finally:
        progress_bar_states.clear()
        progress_bar_states.update(before)
