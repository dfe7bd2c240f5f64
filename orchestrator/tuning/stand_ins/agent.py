"""Stands in for an agent of Ray's in a cluster of a run's own: becomes it when it is first asked for something.

Of Ray's two agents, each of which takes a second of a processor to start, one serves a dashboard, which such a cluster
has not, the other makes runtime environments, which only a user's own tasks have. Each takes up its port here. The
arguments are the agent's command. It ends with the raylet that started it, which closes this process's stdin.
"""

import os
import select
import socket
import sys

PORT = "--runtime-env-agent-port="
UNUSED = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port")


def main(command: list[str]) -> None:
    """Wait for the raylet's end, or become the agent."""
    told = dict(word[2:].split("=", 1) for word in command if word.startswith("--") and "=" in word)

    def tell(port: str, number: int) -> None:
        """Write a port down where the raylet looks for it; -1 says that it is not in use."""
        file = os.path.join(told["session-dir"], f"{port}_{told['node-id']}")  # noqa: PTH118
        with open(f"{file}.new", "w", encoding="ascii") as written:  # noqa: PTH123 (pathlib is slow to import)
            written.write(str(number))
        os.replace(f"{file}.new", file)  # noqa: PTH105

    if "runtime-env-agent-port" not in told:
        for port in UNUSED:
            tell(port, -1)
        sys.stdin.buffer.read()
        return
    asked_port = int(told["runtime-env-agent-port"] or 0)
    with socket.create_server((told["node-ip-address"], asked_port)) as listening:
        number = listening.getsockname()[1]
        tell("runtime_env_agent_port", number)
        if 0 in select.select([0, listening.fileno()], [], [])[0]:
            return
    os.execv(command[0], [f"{PORT}{number}" if word.startswith(PORT) else word for word in command])  # noqa: S606


main(sys.argv[1:])
