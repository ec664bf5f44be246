"""The measurements of `lf-ref bench`: lf_ref on a model of random weights, alone or in turns with a peer.

`size` makes the model and the texts; `sides`, `peer` and `engines` run them; `works` lists the workloads; `timing`
measures in turns, `cells` in subprocesses; `own` has the measurements without a peer; `runs` is the whole run.
"""
