"""What confines a worker: Landlock, seccomp, bubblewrap, resource limits.

May import ``model`` and ``errors``.
"""
