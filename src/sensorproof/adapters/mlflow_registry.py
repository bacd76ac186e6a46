"""MLflow's registry: versions of the packaged model, who is champion, and what became of the aliases.

Aliases have no history of their own and the last writer wins. So every change is written down first, as a tag of the
registered model under a name of its own that is never written twice: it lies where the aliases lie, outlives the
checkout, and everybody who shares the server sees it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sensorproof.adapters.mlflow import Connection, user
from sensorproof.errors import RejectedError, SensorproofError, UsageError
from sensorproof.serving.package import hash_model

MODEL = "sensorproof"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
HASH = "model.sha256"
_HISTORY = "history."
FOLDER = "artifacts/model"
"""Where the model folder lies in the packaged model."""
URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


@dataclass(frozen=True)
class Version:
    """One registered version. `created` is UTC."""

    number: int
    run_id: str
    created: datetime
    tags: dict[str, str]
    aliases: tuple[str, ...] = ()

    @property
    def gates(self) -> list[dict[str, Any]]:
        """The gates as they were judged when it was registered."""
        found: list[dict[str, Any]] = json.loads(self.tags.get("gates") or "[]")
        return found


@dataclass(frozen=True)
class _AliasChange:
    """One change of the aliases: {alias: version or None} before and after, why, and whether gates were overridden."""

    time: str
    action: str
    before: dict[str, int | None]
    after: dict[str, int | None]
    reason: str
    forced: bool = False
    by: str = field(default_factory=user)


class Registry:
    """The versions of one registered model.

    Args:
        connection: see `mlflow.connect`.
        name: of the registered model.
    """

    def __init__(self, connection: Connection, name: str = MODEL) -> None:
        self.client, self.connection, self.name = connection.client, connection, name

    def aliases(self) -> dict[str, int]:
        """{alias: version}; empty where nothing is registered yet."""
        model = self._model()
        return {} if model is None else {alias: int(version) for alias, version in sorted(model.aliases.items())}

    def versions(self) -> list[Version]:
        """All versions, the newest first."""
        found = self.client.search_model_versions(f"name = '{self.name}'", max_results=10_000)
        aliases = self.aliases()
        return sorted((_to_version(each, aliases) for each in found), key=lambda v: -v.number)

    def version(self, number: int) -> Version:
        """One version.

        Raises:
            UsageError: there is none of that number.
        """
        for each in self.client.search_model_versions(f"name = '{self.name}' and version_number = {number}"):
            return _to_version(each, self.aliases())
        raise UsageError(f"version {number}", f"of {self.name} is not there", "see `sensorproof registry status`")

    def with_alias(self, alias: str) -> Version | None:
        """The version that bears an alias, or None."""
        number = self.aliases().get(alias)
        return None if number is None else self.version(number)

    def find(self, model_hash: str) -> Version | None:
        """The first version with this very model, or None."""
        found = self.client.search_model_versions(f"name = '{self.name}' and tags.`{HASH}` = '{model_hash}'")
        numbers = sorted(int(each.version) for each in found)
        return self.version(numbers[0]) if numbers else None

    def add(self, model_uri: str, model_id: str, run_id: str, tags: Mapping[str, str]) -> Version:
        """Register a logged model as a new version."""
        from mlflow.exceptions import MlflowException

        if self._model() is None:
            try:
                self.client.create_registered_model(self.name, description="Segmentation with missing sensors.")
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
        made = self.client.create_model_version(self.name, model_uri, run_id=run_id, tags=dict(tags), model_id=model_id)
        return _to_version(made, {})

    def describe(self, version: Version, tags: Mapping[str, str], description: str) -> None:
        """Write what was decided on a version."""
        for name, value in tags.items() - version.tags.items():
            self.client.set_model_version_tag(self.name, str(version.number), name, value)
        self.client.update_model_version(self.name, str(version.number), description)

    def fetch(self, version: Version, into: Path) -> Path:
        """Copy a version's model folder into `into`, hash its files anew, and return the folder.

        Raises:
            SensorproofError: they cannot be had.
            Refused: they are not those that were registered.
        """
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        uri = f"models:/{self.name}/{version.number}/{FOLDER}"
        try:
            folder = Path(download_artifacts(uri, dst_path=str(into), tracking_uri=self.connection.uri))
        except (MlflowException, OSError) as error:
            line = next(iter(str(error).splitlines()), "no reason given")
            raise SensorproofError(uri, f"cannot be fetched ({line})", "check the server's artifact store") from error
        found, registered = hash_model(folder), version.tags.get(HASH)
        if found != registered:
            fault = f"its files hash to {found[:12]}…, registered were {str(registered)[:12]}…"
            raise RejectedError(
                f"{self.name} version {version.number}", fault, "register the model anew; do not serve it"
            )
        return folder

    def move(
        self, moves: Mapping[str, int | None], *, action: str, reason: str, forced: bool = False
    ) -> _AliasChange | None:
        """Set aliases ({alias: version}) or take them away ({alias: None}); write the change down first.

        Moves that change nothing are left out; the answer is None where none is left.
        """
        now = self.aliases()
        before = {alias: now.get(alias) for alias, number in moves.items() if now.get(alias) != number}
        if not before:
            return None
        after = {alias: moves[alias] for alias in before}
        change = _AliasChange(
            datetime.now(UTC).isoformat(timespec="microseconds"), action, before, after, reason, forced
        )
        # Names of tags may hold letters, digits and _-. /: the time as a number sorts and does not repeat.
        key = _HISTORY + re.sub(r"\D", "", change.time[:26])
        self.client.set_registered_model_tag(self.name, key, json.dumps(asdict(change)))
        for alias, number in after.items():
            if number is None:
                self.client.delete_registered_model_alias(self.name, alias)
            else:
                self.client.set_registered_model_alias(self.name, alias, str(number))
        return change

    def set_champion(self, version: Version, *, action: str, reason: str, forced: bool = False) -> _AliasChange | None:
        """Make a version champion, and the champion before it `previous`."""
        aliases = self.aliases()
        moves: dict[str, int | None] = {CHAMPION: version.number}
        if aliases.get(CHAMPION) not in (None, version.number):
            moves = {PREVIOUS: aliases[CHAMPION], **moves}
        if aliases.get(CHALLENGER) == version.number:
            moves[CHALLENGER] = None
        return self.move(moves, action=action, reason=reason, forced=forced)

    def history(self) -> list[_AliasChange]:
        """Every change of the aliases, the oldest first."""
        model = self._model()
        tags = {} if model is None else model.tags
        return [_AliasChange(**json.loads(tags[key])) for key in sorted(tags) if key.startswith(_HISTORY)]

    def _model(self) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise


def _to_version(found: Any, aliases: Mapping[str, int]) -> Version:
    """MLflow's version as plain data; a search leaves its aliases empty, hence the mapping."""
    number = int(found.version)
    created = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
    own = tuple(alias for alias, n in aliases.items() if n == number)
    return Version(number, found.run_id or "", created, dict(found.tags), own)


@dataclass(frozen=True)
class ModelUri:
    """A version by its name and either its alias or its number."""

    name: str
    alias: str | None
    number: int | None

    @classmethod
    def parse(cls, uri: str) -> "ModelUri":
        """Read `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

        Raises:
            UsageError: it has another form.
        """
        match = URI.fullmatch(uri)
        if match is None:
            raise UsageError(uri, "is no address of a model", f"write models:/{MODEL}@{CHAMPION} or models:/{MODEL}/1")
        return cls(match["name"], match["alias"], int(match["version"]) if match["version"] else None)

    def fetch(self, connection: Connection, into: Path) -> Path:
        """Copy the model folder into `into`; see Registry.fetch.

        Raises:
            UsageError: the address means nothing.
        """
        registry = Registry(connection, self.name)
        version = registry.with_alias(self.alias or "") if self.number is None else registry.version(self.number)
        if version is None:
            raise UsageError(f"models:/{self.name}@{self.alias}", "is not there", "see `sensorproof registry status`")
        return registry.fetch(version, into)
