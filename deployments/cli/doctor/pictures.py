"""Check whether previews can be drawn: the setting, the packages, and a trial drawing in the same limited process."""

import sys

from blocks.errors import ConfigurationError
from blocks.settings import Settings
from blocks.storage.preview.drawing import draw
from blocks.storage.preview_file import missing_extra

_SYSTEM_LIBRARIES = " On Linux, drawing needs Mesa's EGL, too (Debian: apt-get install libegl1 libgl1-mesa-dri)."


def check_pictures(settings: Settings) -> str:
    """Say whether pictures are drawn here, and what they lack.

    Raises:
        ConfigurationError: `ITWIN_PREVIEW` is `on`, and they cannot be drawn.
    """
    setting = f"ITWIN_PREVIEW={settings.preview}"
    if settings.preview == "off":
        return f"Exports get no picture ({setting})."
    if not (fault := _fault()):
        return f"Exports get a picture ({setting}); one was drawn as a trial."
    if settings.preview == "on":
        raise ConfigurationError(f"{setting}, and no picture can be drawn here: {fault}")
    return f"Exports are published without a picture ({setting}): {fault}"


def _fault() -> str:
    if missing := missing_extra():
        return f"that needs {missing}."
    if reason := draw("trial", []).reason:
        return f"{reason}.{_SYSTEM_LIBRARIES if sys.platform == 'linux' else ''}"
    return ""
