"""What `lf-ref bench` measures: lf_ref on a model of random weights, alone or side by side with HF transformers.

`size` makes the model and the texts; `sides` and `peer` run it, here and there; `works` lists what both are given;
`timing` measures in turns, `cells` in processes of their own; `own` asks what needs no peer; `runs` puts it together.
"""
