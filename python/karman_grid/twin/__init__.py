"""The twin: a simulated hall behind the same ports as a real one.

Owns running scenarios in stepped time, judging traces, and the figures of a run. May import:
`_core`, `errors`, `units`. The built-in scenarios and the fitted workload are data beside it.
"""
