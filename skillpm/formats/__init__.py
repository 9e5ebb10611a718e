"""Strict JSON and YAML, documents with line numbers, and edits that keep comments. Knows no noun of skillpm.

May import ``errors``.
"""
