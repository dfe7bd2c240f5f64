"""What an experiment file's names refer to: models, data and search spaces.

A reference's form says where it comes from, so there is no search order to get wrong: a bare word
is bundled (``mlp``), something with a slash or a known ending is a file relative to the experiment
file (``./net.py:build_wide``), a dotted name is an installed module (``package.module:function``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.catalog.contents import Contents, contents_of
    from orchestrator.catalog.definitions import refuse_another_tuners
    from orchestrator.catalog.find import (
        bundled_points,
        find_callbacks,
        find_class,
        find_data,
        find_model,
        find_points,
        find_space,
        find_trial,
        space_of,
    )
    from orchestrator.catalog.imports import is_installed, is_users_module, is_users_own
    from orchestrator.catalog.names import (
        BUNDLED_DATA,
        bundled_file,
        bundled_folder,
        bundled_names,
        is_mark,
        mark,
    )
    from orchestrator.catalog.references import (
        REGISTERED,
        CallableReference,
        DataReference,
        GivenCode,
        code_files,
        code_fingerprint,
        may_compile,
        read_names,
        source_files,
        source_texts,
    )
    from orchestrator.catalog.user_code import (
        FILES_ARE_LOADED_AS,
        UsersCode,
        flush_printed,
        printed_aside,
    )

__all__ = [
    "BUNDLED_DATA",
    "FILES_ARE_LOADED_AS",
    "REGISTERED",
    "CallableReference",
    "Contents",
    "DataReference",
    "GivenCode",
    "UsersCode",
    "bundled_file",
    "bundled_folder",
    "bundled_names",
    "bundled_points",
    "code_files",
    "code_fingerprint",
    "contents_of",
    "find_callbacks",
    "find_class",
    "find_data",
    "find_model",
    "find_points",
    "find_space",
    "find_trial",
    "flush_printed",
    "is_installed",
    "is_mark",
    "is_users_module",
    "is_users_own",
    "mark",
    "may_compile",
    "printed_aside",
    "read_names",
    "refuse_another_tuners",
    "source_files",
    "source_texts",
    "space_of",
]

load_when_used(__name__)
