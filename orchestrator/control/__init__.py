"""What one can ask of a run in progress: checked, then written down as a request."""

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.control.live_control import Panda, RunControl, open_panda

__all__ = ["Panda", "RunControl", "open_panda"]

load_when_used(__name__)
