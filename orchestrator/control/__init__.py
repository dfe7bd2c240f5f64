"""What one can ask of a run in progress: checked, then written down as a request."""

from orchestrator.control.live_control import Panda, RunControl, open_panda

__all__ = ["Panda", "RunControl", "open_panda"]
