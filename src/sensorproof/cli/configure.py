"""`sensorproof configure`: merge an override into params.yaml and keep its comments and order."""

import io
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML

from sensorproof.errors import SettingsError
from sensorproof.files import parse_yaml, write_text
from sensorproof.settings import parse_settings


def configure(
    override: Annotated[Path, typer.Argument(help="YAML file with the keys to change")],
    params: Annotated[Path, typer.Option(help="the file to change")] = Path("params.yaml"),
) -> None:
    """Merge OVERRIDE into params.yaml; nothing is written unless the result is valid."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    # By default the library writes null as nothing at all.
    yaml.representer.add_representer(type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null"))
    document, changes = _read(yaml, params), _read(yaml, override)
    _merge(document, changes)
    text = io.StringIO()
    yaml.dump(document, text)
    # Read back as every stage reads it, not as the round trip understands it.
    parse_settings(parse_yaml(text.getvalue()), f"{params} with {override}")
    write_text(params, text.getvalue())


def _read(yaml: YAML, path: Path) -> Any:
    """Return a YAML mapping with its comments.

    Raises:
        SettingsError: the file is missing, not YAML of plain values, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = parse_yaml(text)
    except (OSError, ValueError) as error:
        raise SettingsError(path, f"cannot be read ({error})", "give a YAML file") from error
    if not isinstance(document, dict):
        raise SettingsError(path, "is not a mapping", "write `key: value` lines as in params.yaml")
    return yaml.load(text)


def _merge(document: Any, changes: Any) -> None:
    """Merge `changes` into `document` in place: mappings key by key, anything else as a whole."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            _merge(document[key], value)
        else:
            document[key] = value
