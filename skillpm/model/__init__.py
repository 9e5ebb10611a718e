"""The nouns. May import the standard library, packaging, pydantic, ``formats`` and ``errors``.

A *document* crosses a file, a wire or a process: a frozen pydantic model that refuses unknown keys. A *light document*
is one that machines write and every command reads: a frozen dataclass; pydantic only tells what is wrong with it.
A *value* is made by us: a frozen slotted dataclass. A *port* is a ``Protocol``.
No module here touches files, network, clock, chance or the terminal. Import the modules one by one: those
with documents import pydantic, the others do not.
"""
