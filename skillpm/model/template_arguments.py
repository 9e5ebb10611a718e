"""The arguments that a person hands to a model's chat template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from skillpm.formats.document import PlacedValueError

_OURS = frozenset(
    {"add_generation_prompt", "chat_template", "continue_final_message", "conversation", "messages", "tokenize"}
)
M = TypeVar("M", bound=Mapping[str, object])


def check_template_arguments(arguments: M) -> M:
    """Return the arguments. Raises PlacedValueError for a name under which skillpm itself hands something over."""
    for name in sorted(arguments.keys() & _OURS):
        raise PlacedValueError(
            f"skillpm hands `{name}` to the chat template itself",
            place=(name,),
            hint="remove it; name only what the template itself asks for, such as `enable_thinking`",
        )
    return arguments
