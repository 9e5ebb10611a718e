"""contract.yaml, from text to a compiled contract."""

from __future__ import annotations

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError
from skillpm.model.contract import ContractDocument
from skillpm.model.document import read_model

__all__ = ["load_contract"]


def load_contract(text: str, path: str = "contract.yaml") -> Contract:
    """Read and compile a contract.

    Raises:
        DocumentError: with path and line.
    """
    document = read_model(ContractDocument, text, path=path)
    try:
        return Contract(document)
    except DocumentError as error:
        raise DocumentError(error.rule, path=path, hint=error.hint) from None
