"""Completion in a shell: a script that knows commands, options and keys, and lists runs by itself.

Python is not started while one types: a script answers at once, and a run is a folder that it can see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from orchestrator.cli.options import FORMATS, TEXT_FORMATS
from orchestrator.cli.output import say
from orchestrator.errors import UnknownNameError, explain

SHELLS = ("bash", "zsh", "fish")


def _known_shell(shell: str) -> str:
    if shell not in SHELLS:
        raise UnknownNameError(explain("completion", "expected a shell", shell, SHELLS))
    return shell


def completion(
    context: typer.Context,
    shell: Annotated[
        str,
        typer.Argument(
            metavar="SHELL", callback=_known_shell, help="bash, zsh or fish.", show_default=False
        ),
    ],
) -> None:
    """Print a script that completes commands, options, runs and keys of --set in your shell.

    bash: orchestrator completion bash > ~/.local/share/bash-completion/completions/orchestrator;
    zsh: > _orchestrator in a folder of $fpath; fish: > ~/.config/fish/completions/orchestrator.fish
    """
    group: Any = context.find_root().command
    commands = [_command(name, found) for name, found in group.commands.items()]
    script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands, _keys())
    say(script.rstrip("\n"))


@dataclass(frozen=True)
class _Command:
    """What can be typed after a command: its options, whether it takes runs, the formats that it writes."""

    name: str
    help: str
    options: tuple[tuple[str, str, bool], ...]
    takes_run: bool
    formats: tuple[str, ...]

    @property
    def names(self) -> str:
        return " ".join(sorted(name for name, _, _ in self.options))


def _command(name: str, command: Any) -> _Command:
    options = []
    takes_run = False
    formats: tuple[str, ...] = FORMATS
    for each in command.params:
        if each.param_type_name == "argument":
            takes_run = takes_run or (each.metavar or "").lstrip("[").startswith("RUN")
            continue
        flag = bool(each.is_flag)
        text = _plain(each.help or "")
        options += [(opt, text, flag) for opt in (*each.opts, *each.secondary_opts)]
        if "--format" in each.opts and text.startswith("table or json"):
            formats = TEXT_FORMATS
    help_line = _plain((command.help or "").split("\n")[0])
    return _Command(name, help_line, tuple(options), takes_run, formats)


def _plain(text: str) -> str:
    """Return a sentence that any of the shells takes between single quotes."""
    return re.sub(r"[^\w ,.;:/=+()-]", "", " ".join(text.split()))


def _keys() -> str:
    """Return the keys that --set takes, as ``caviar.num_samples``."""
    from orchestrator.config.schema import keys_of, sections

    found = {
        ".".join((*map(str, path), key))
        for path, section in sections().items()
        for key in keys_of(section)
    }
    return " ".join(sorted(found))


def _cases(commands: list[_Command], form: str) -> Iterator[str]:
    for each in commands:
        yield form.format(
            name=each.name,
            options=each.names,
            runs=int(each.takes_run),
            formats=" ".join(each.formats),
        )


_LOOP = """\
_orchestrator_runs() {
  local folder
  for folder in "$1"/*/experiment.yaml; do
    [ -f "$folder" ] && folder="${folder%/experiment.yaml}" && printf '%s\\n' "${folder##*/}"
  done
}
"""


_BASH = """\
# bash completion of orchestrator
@LOOP@
_orchestrator() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"
  local command="" storage="runs" options="" runs=0 formats="" word at
  for ((at = 1; at < COMP_CWORD; at++)); do
    word="${COMP_WORDS[at]}"
    [[ $word == --storage ]] && storage="${COMP_WORDS[at+1]}"
    [[ -z $command && $word != -* ]] && command="$word"
  done
  COMPREPLY=()
  if [[ -z $command ]]; then
    COMPREPLY=($(compgen -W "@NAMES@ --help --version" -- "$cur"))
    return
  fi
  case "$command" in
@CASES@
  esac
  case "$prev" in
    --set)
      if [[ " $options " == *" --why "* ]]; then return; fi  # of a model in training: hyperparameters
      COMPREPLY=($(compgen -W "@KEYS@" -S = -- "$cur"))
      compopt -o nospace
      return ;;
    --format|-f) COMPREPLY=($(compgen -W "$formats" -- "$cur")); return ;;
    --output|-o|--to|--data|--table) COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames; return ;;
    --storage) COMPREPLY=($(compgen -d -- "$cur")); compopt -o filenames; return ;;
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options --help" -- "$cur"))
  elif [[ $command == completion ]]; then
    COMPREPLY=($(compgen -W "@SHELLS@" -- "$cur"))
  elif ((runs)) && [[ $cur != */* ]]; then
    COMPREPLY=($(compgen -W "$(_orchestrator_runs "$storage")" -- "$cur"))
  else
    COMPREPLY=($(compgen -f -- "$cur"))
    compopt -o filenames
  fi
}
complete -F _orchestrator orchestrator
"""


def _filled(script: str, names: str, cases: Iterator[str], keys: str) -> str:
    """Return a script with what is known here in its places."""
    known = {"LOOP": _LOOP, "NAMES": names, "CASES": "\n".join(cases), "KEYS": keys}
    for name, text in (known | {"SHELLS": " ".join(SHELLS)}).items():
        script = script.replace(f"@{name}@", text)
    return script


def _bash(commands: list[_Command], keys: str) -> str:
    cases = _cases(commands, '    {name}) options="{options}" runs={runs} formats="{formats}" ;;')
    names = " ".join(each.name for each in commands)
    return _filled(_BASH, names, cases, keys)


_ZSH = """\
#compdef orchestrator
@LOOP@
_orchestrator() {
  local command="" storage="runs" word at
  local -a options formats listed commands
  integer runs=0
  for ((at = 2; at < CURRENT; at++)); do
    word="$words[at]"
    [[ $word == --storage ]] && storage="$words[at+1]"
    [[ -z $command && $word != -* ]] && command="$word"
  done
  if [[ -z $command ]]; then
    commands=(
@NAMES@
    )
    _describe command commands
    return
  fi
  case "$command" in
@CASES@
  esac
  case "$words[CURRENT-1]" in
    --set)
      (( $options[(Ie)--why] )) && return
      compadd -S = -- @KEYS@
      return ;;
    --format|-f) compadd -- $formats; return ;;
    --output|-o|--to|--data|--table) _files; return ;;
    --storage) _files -/; return ;;
  esac
  if [[ "$words[CURRENT]" == -* ]]; then
    compadd -- $options --help
  elif [[ $command == completion ]]; then
    compadd -- @SHELLS@
  elif (( runs )) && [[ "$words[CURRENT]" != */* ]]; then
    listed=(${(f)"$(setopt local_options null_glob; _orchestrator_runs "$storage")"})
    compadd -- $listed
  else
    _files
  fi
}
compdef _orchestrator orchestrator
"""


def _zsh(commands: list[_Command], keys: str) -> str:
    cases = _cases(commands, "    {name}) options=({options}) runs={runs} formats=({formats}) ;;")
    names = "\n".join(f"    '{each.name}:{each.help.replace(':', '')}'" for each in commands)
    return _filled(_ZSH, names, cases, keys)


def _fish(commands: list[_Command], keys: str) -> str:
    lines = [
        "# fish completion of orchestrator",
        "function __orchestrator_runs",
        "    set -l storage runs",
        "    set -l words (commandline -opc)",
        "    if set -l at (contains -i -- --storage $words)",
        "        set storage $words[(math $at + 1)]",
        "    end",
        "    for file in $storage/*/experiment.yaml",
        "        basename (dirname $file)",
        "    end",
        "end",
    ]
    begin = "complete -c orchestrator"
    for each in commands:
        seen = f"-n '__fish_seen_subcommand_from {each.name}'"
        lines.append(f"{begin} -n __fish_use_subcommand -f -a {each.name} -d '{each.help}'")
        if each.takes_run:
            lines.append(f"{begin} {seen} -f -a '(__orchestrator_runs)'")
        for option, text, flag in each.options:
            lines.append(f"{begin} {seen} {_fish_option(each, option, flag, keys)} -d '{text}'")
    lines.append(f"{begin} -n '__fish_seen_subcommand_from completion' -f -a '{' '.join(SHELLS)}'")
    return "\n".join(lines) + "\n"


def _fish_option(command: _Command, option: str, flag: bool, keys: str) -> str:
    name = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
    if flag:
        return name
    if option == "--set" and "--why" not in command.names.split():
        return f"{name} -x -a '{' '.join(f'{key}=' for key in keys.split())}'"
    if option in ("--format", "-f"):
        return f"{name} -x -a '{' '.join(command.formats)}'"
    return f"{name} -r"
