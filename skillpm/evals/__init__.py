"""Evaluation: task sets over a policy, statistics, comparison of arms, gates, the report.

May import runtime, contract, model and what is below them; never train, synth or ops. Pure but for asking the policy
and the judge that are passed in.
"""
