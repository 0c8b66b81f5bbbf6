"""Map kinds and origins to the small integers that rows hold; a released number never changes its meaning."""

from typing import Final

from ..model import EventKind, Origin

KIND_TO_CODE: Final = {
    EventKind.STATE: 0,
    EventKind.ATTRIBUTES: 1,
    EventKind.CALL: 2,
    EventKind.AUTOMATION: 3,
    EventKind.SCRIPT: 4,
    EventKind.SYSTEM: 5,
    EventKind.LOG: 6,
}
ORIGIN_TO_CODE: Final = {
    Origin.DEVICE: 0,
    Origin.USER: 1,
    Origin.AUTOMATION: 2,
    Origin.SCRIPT: 3,
    Origin.SCENE: 4,
    Origin.SYSTEM: 5,
}
CODE_TO_KIND: Final = {code: kind for kind, code in KIND_TO_CODE.items()}
CODE_TO_ORIGIN: Final = {code: origin for origin, code in ORIGIN_TO_CODE.items()}
