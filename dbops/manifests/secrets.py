"""Passwords and keys: named in manifests, resolved only when used, shown nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbops.dataclass import dataclass
from dbops.engines.base.secret import HIDDEN, SecretValue
from dbops.errors import ManifestError, Mark
from dbops.manifests.spec import complain, nearest

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

COMMAND_TIMEOUT_S = 30.0
_SHAPE = "text, {env: NAME}, {file: path} or {command: [program, argument]}"
_PLACES = ("env", "file", "command")


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret comes from: exactly one of the fields is given. `file` is relative to the manifest's root."""

    literal: SecretValue | None = None
    env: str | None = None
    file: str | None = None
    command: tuple[str, ...] | None = None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        hide = core_schema.plain_serializer_function_ser_schema(lambda _: HIDDEN)
        return core_schema.no_info_plain_validator_function(parse_secret, serialization=hide)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1}
        shapes = {"env": text, "file": text, "command": {"type": "array", "items": {"type": "string"}, "minItems": 1}}
        return {
            "anyOf": [
                {"type": "string"},
                *(
                    {"type": "object", "properties": {name: shape}, "required": [name], "additionalProperties": False}
                    for name, shape in shapes.items()
                ),
            ]
        }


def parse_secret(value: Any) -> Secret:
    """Read a secret as manifests write it; what is wrong with it is said without showing it."""
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(literal=SecretValue(value))
    if not isinstance(value, dict) or not value:
        raise complain("the value is not written as a secret", expected=_SHAPE, fix="put numbers and words like yes in quotes")
    unknown = next((name for name in value if name not in _PLACES), None)
    if unknown is not None:
        raise complain(f"a secret has no field '{unknown}'", expected=_SHAPE, fix=nearest(unknown, _PLACES), path=(unknown,))
    if len(value) > 1:
        raise complain(f"{' and '.join(value)} are given together", expected=_SHAPE)
    name, content = next(iter(value.items()))
    if name == "command":
        if not isinstance(content, list) or not content or not all(isinstance(word, str) for word in content):
            raise complain("the command is not a list of texts", expected="[program, argument, ...]", path=("command",))
        return Secret(command=tuple(content))
    if not isinstance(content, str) or not content:
        raise complain(f"{name} is not text", expected=_SHAPE, path=(name,))
    return Secret(env=content) if name == "env" else Secret(file=content)


def resolve(secret: Secret, root: Path, process_env: Mapping[str, str], at: Mark | None = None) -> SecretValue:
    """Fetch a secret: read its variable or file, or run its command in `root`.

    One line end after the content of a file or the output of a command is cut off.

    Raises:
        ManifestError: at `at`; the secret is not there, is empty, or its command fails. Nothing fetched is shown.
    """
    if secret.literal is not None:
        return secret.literal
    if secret.env is not None:
        return _from_env(secret.env, process_env, at)
    if secret.file is not None:
        return _from_file(secret.file, root, at)
    return _from_command(secret.command or (), root, process_env, at)


def _from_env(name: str, process_env: Mapping[str, str], at: Mark | None) -> SecretValue:
    text = process_env.get(name)
    if not text:
        state = "is not set" if text is None else "is empty"
        raise ManifestError(f"the secret's variable {name} {state}", at=at, expected=f"{name} in the process environment")
    return SecretValue(text)


def _from_file(file: str, root: Path, at: Mark | None) -> SecretValue:
    path = root / Path(file).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"the secret's file {path} cannot be read: {error.strerror}", at=at) from None
    except UnicodeDecodeError:
        raise ManifestError(f"the secret's file {path} is not UTF-8", at=at) from None
    return _content(text, f"the secret's file {path} is empty", at)


def _from_command(argv: tuple[str, ...], root: Path, process_env: Mapping[str, str], at: Mark | None) -> SecretValue:
    import subprocess

    program = f"the secret's command {argv[0]}"
    try:
        done = subprocess.run(
            argv,
            cwd=root,
            env=dict(process_env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ManifestError(f"{program} did not end within {COMMAND_TIMEOUT_S:g} seconds", at=at) from None
    except OSError as error:
        raise ManifestError(f"{program} cannot be run: {error.strerror}", at=at) from None
    if done.returncode != 0:
        fix = "run it by hand to see why; its output is not shown because it may hold the secret"
        raise ManifestError(f"{program} failed with exit status {done.returncode}", at=at, fix=fix)
    try:
        return _content(done.stdout.decode("utf-8"), f"{program} wrote nothing", at)
    except UnicodeDecodeError:
        raise ManifestError(f"{program} wrote something that is not UTF-8", at=at) from None


def _content(text: str, when_empty: str, at: Mark | None) -> SecretValue:
    content = text.removesuffix("\n").removesuffix("\r")
    if not content:
        raise ManifestError(when_empty, at=at)
    return SecretValue(content)
