"""The process in which skill code lives: its protocol, the pool of processes, judging inside, scoring from outside.

May import ``trust``, ``runtime``, ``sandbox`` and what is below them. Only ``main`` and ``skillcode`` execute what a
skill brings, and only ``main`` imports ``skillcode``.
"""
