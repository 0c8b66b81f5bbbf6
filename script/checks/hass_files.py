"""Check the files that Home Assistant and HACS read, against their rules and against the code.

usage: python script/checks/hass_files.py [REPOSITORY_DIR]

manifest.json, hacs.json, services.yaml, icons.json, translations/*.json, quality_scale.yaml and brand/. hassfest and
the HACS action check the same files in the project's workflows; they are not in Home Assistant's wheel, so this is
the project's own check, to be run anywhere. The code is parsed, not run: a text is missing when the code names it, and
unused when no string of the code is its key. Prints one line for each fault; exit 0 without a fault, 1 with one, 2 for
wrong usage.
"""

from collections.abc import Iterator
from pathlib import Path
import sys

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "script"))

from checks import _manifest, _services, _texts  # noqa: E402
from checks._code import Code  # noqa: E402


def faults(repository: Path = REPOSITORY) -> Iterator[str]:
    """Yield a line for each fault: the file, then what is wrong."""
    integration = repository / "custom_components" / "homeiq"
    yield from _under("manifest.json", _manifest.check_manifest(integration))
    yield from _under("hacs.json", _manifest.check_hacs(repository))
    yield from _under("quality_scale.yaml", _manifest.check_quality_scale(integration))
    yield from _under("brand", _manifest.check_brand(integration))
    if (integration / "strings.json").exists():
        yield "strings.json: is read for core integrations only; keep translations/en.json alone"
    code = Code.read(integration)
    read: dict[str, _texts.Texts] = {}
    for name, load in (
        ("translations/en.json", _texts.load),
        ("icons.json", _texts.load),
        ("services.yaml", _services.load_services),
    ):
        try:
            read[name] = load(integration / name)
        except (OSError, ValueError, TypeError) as err:
            yield f"{name}: cannot be read: {err}"
            read[name] = {}
    english, icons, services = read.values()
    yield from _under("translations/en.json", _texts.check_translations(code, english))
    yield from _under("icons.json", _texts.check_icons(code, icons, english))
    yield from _under("services.yaml", _services.check_services(code, services, english, icons))
    for path in sorted((integration / "translations").glob("*.json")):
        if path.name != "en.json":
            yield from _under(f"translations/{path.name}", _texts.check_other_language(english, _texts.load(path)))


def _under(name: str, problems: Iterator[str]) -> Iterator[str]:
    return (f"{name}: {problem}" for problem in problems)


def main(arguments: list[str]) -> int:
    """Print the faults; return the exit code."""
    if len(arguments) > 1:
        print("usage: python script/checks/hass_files.py [REPOSITORY_DIR]", file=sys.stderr)
        return 2
    found = list(faults(Path(arguments[0]).resolve() if arguments else REPOSITORY))
    for line in found:
        print(line)
    print(f"files for Home Assistant: {len(found)} faults" if found else "files for Home Assistant: in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
