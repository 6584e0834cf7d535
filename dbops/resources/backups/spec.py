"""The spec of kind BackupPolicy: where backups go, when they are made, what is promised of them, how long they are kept."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from dbops.archive.storage.opening import SCHEMES
from dbops.manifests.secrets import Secret
from dbops.manifests.spec import Bound, Duration, Size, Spec, Text, complain, nearest, one_of


def _check_storage_url(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise complain("the storage is no URL", expected="file://./backups, s3://bucket/prefix, gs://, az:// or sftp://")
    if scheme not in SCHEMES:
        raise complain(f"no storage speaks {scheme}://", expected=one_of(SCHEMES), fix=nearest(scheme, SCHEMES))
    if scheme != "file" and urlsplit(url).password is not None:
        raise complain("the storage's URL holds a password", expected="it in options, from {env: NAME} or {file: path}")
    return url


_PLAIN = range(60), range(24), range(1, 32), range(1, 13), range(7)
"""Minutes, hours, days of a month, months, days of a week from Sunday on (crontab(5))."""


def _check_cron(text: str) -> str:
    fields = text.split()
    if len(fields) == len(_PLAIN) and all(map(_is_plain, fields, _PLAIN)):
        return text  # as nearly all are, and what reads the others is slow to import
    try:
        from croniter import croniter
    except ImportError:
        raise complain("schedules need the package croniter", fix="install it: pip install 'dbops[backup]'") from None
    if len(fields) != len(_PLAIN) or not croniter.is_valid(text):
        raise complain(expected="five fields: minute hour day-of-month month day-of-week, such as 0 3 * * 0")
    return text


def _is_plain(field: str, numbers: range) -> bool:
    """Tell whether a field is `*` or one of these numbers; there are other ones that are good."""
    return field == "*" or (field.isascii() and field.isdigit() and int(field) in numbers)


def _check_zone(name: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise complain(f"there is no time zone {name!r} here", expected="a name such as Europe/Berlin, or UTC") from None
    return name


Cron = Annotated[str, AfterValidator(_check_cron)]
Count = Annotated[int, Field(ge=0)]


class StorageSpec(Spec):
    """Where backups lie."""

    url: Annotated[str, AfterValidator(_check_storage_url)]
    """file://./folder (from the environment's folder), s3://bucket/prefix, gs://, az:// or sftp://user@host/path."""
    options: dict[str, Secret] = Field(default_factory=dict)
    """What the storage needs to hear: endpoint, region, access_key_id, secret_access_key, ...; secrets by {env: NAME}."""


class ScheduleSpec(Spec):
    """One kind of backup, and when it is due."""

    type: Literal["full", "incremental", "differential", "log"]
    """`full`; `incremental` since the last backup; `differential` since the last full; `log` for any moment in between."""
    cron: Cron
    """When it is due: minute, hour, day of the month, month, day of the week; by the clock of `timezone`."""
    method: Literal["logical", "physical"] | None = None
    """Whether it is made of statements or of files; what works for all kinds of the schedule unless given."""
    tool: Text | None = None
    """The tool that makes it, where the engine has several: pg_dump, pg_basebackup, pgbackrest, mariabackup, mydumper."""
    options: dict[str, str | int | bool] = Field(default_factory=dict)
    """What the tool is told besides, in the engine's words."""


class ObjectivesSpec(Spec):
    """What is promised."""

    rpo: Duration | None = None
    """At most so much of the past may be lost: the age that the newest restorable state may reach."""
    rto: Duration | None = None
    """A restore may take so long."""
    budget: Size | None = None
    """All backups together may take so much room."""


class CompressionSpec(Spec):
    """How streams are compressed."""

    method: Literal["zstd", "gzip", "none"] = "zstd"
    level: Annotated[int, Field(ge=1, le=22)] = 3
    """1 to 22 for zstd, 1 to 9 for gzip."""

    @model_validator(mode="after")
    def _check_level(self) -> Self:
        if self.method == "gzip" and self.level > 9:
            raise complain(f"gzip has no level {self.level}", expected="1 to 9", path=("level",))
        return self


class EncryptionSpec(Spec):
    """How parts are encrypted: for age recipients, or by a key."""

    recipients: tuple[Text, ...] = ()
    """age public keys (age1...) or SSH public keys: this machine can then make backups without being able to read them."""
    accepts: tuple[Literal["none", "age", "aes-256-gcm"], ...] = ()
    """What else backups may be encrypted by, such as `none` for those that were made before there was a key. Others do not
    count: who can write into the storage can put one there that claims less."""
    key: Secret | None = None
    """A passphrase or 32 bytes in base 64 (AES-256-GCM), or an age identity (AGE-SECRET-KEY-1...), which also reads."""

    @model_validator(mode="after")
    def _check_some(self) -> Self:
        if not self.recipients and self.key is None:
            raise complain("neither recipients nor key is given", expected="at least one of recipients, key")
        for place, recipient in enumerate(self.recipients):
            if not recipient.startswith(("age1", "ssh-")):
                raise complain(
                    expected="an age public key, age1..., or the line of an SSH public key", path=("recipients", place)
                )
        if self.key is not None and self.key.literal is not None:
            raise complain(
                "the key stands in the manifest", expected="{env: NAME}, {file: path} or {command: [...]}", path=("key",)
            )
        return self


class RetentionSpec(Spec):
    """Which backups are kept: any rule keeps a backup; without rules all are kept."""

    last: Count = 0
    """The newest so many."""
    hourly: Count = 0
    """The newest of each of the last so many hours that have backups; likewise the other rules."""
    daily: Count = 0
    weekly: Count = 0
    monthly: Count = 0
    yearly: Count = 0
    within: Duration | None = None
    """All that are younger than this."""
    minimum_age: Duration = 0.0
    """Nothing younger than this is ever deleted."""
    verified: Count = 1
    """The newest so many whose restore was tested are never deleted."""


class VerifySpec(Spec):
    """How backups are proven."""

    restore: Literal["always", "daily", "weekly", "never"] = "weekly"
    """How often a backup is restored into a throwaway database: each one, or the newest once a day or week."""
    checks: tuple[Text, ...] = ()
    """Queries on the restored database that must give one value that is true: not 0, not empty, not NULL."""


class BackupPolicySpec(Bound):
    """What is promised of the backups of a database."""

    retired: bool = False
    """The policy is about to go: nothing more is made, proven or deleted, and what it has on the server, such as a slot for
    the log, is removed. Its backups stay and can be restored; when that is applied, the manifest can be deleted."""
    storage: StorageSpec
    schedule: Annotated[tuple[ScheduleSpec, ...], Field(json_schema_extra={"minItems": 1})]
    """Which kinds of backups are made, and when."""
    timezone: Annotated[str, AfterValidator(_check_zone)] = "UTC"
    """The place by whose clock the schedule and the days of retention go, such as Europe/Berlin."""
    objectives: ObjectivesSpec = ObjectivesSpec.model_construct()
    compression: CompressionSpec = CompressionSpec.model_construct()
    encryption: EncryptionSpec | None = None
    retention: RetentionSpec = RetentionSpec.model_construct()
    verify: VerifySpec = VerifySpec.model_construct()

    @property
    def zone(self) -> tzinfo:
        from zoneinfo import ZoneInfo

        return UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        kinds = [entry.type for entry in self.schedule]
        for place, kind in enumerate(kinds):
            if kind in kinds[:place]:
                raise complain(f"{kind} is scheduled twice", expected="each type once", path=("schedule", place, "type"))
        if not kinds:
            raise complain("the schedule is empty", expected="at least one entry: {type: full, cron: ...}", path=("schedule",))
        if "full" not in kinds:
            raise complain(f"{kinds[0]} backups need a full one", expected="an entry with type: full", path=("schedule",))
        return self
