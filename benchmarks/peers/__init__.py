"""The same checks through other task queues, with real workers and a real server.

`run.measure` starts a server, and NAME_peer.py in its own environment, `build/peers-venv`, and
returns its figures. Most peers send one message per check; `job.check` computes one portfolio with
NumPy, and nothing of `risk_tasks` is imported. The batched peers put many checks into each message
and compute them with our kernels (`batched`); for them the environment contains the packages that
`risk_tasks` imports.

Each peer starts two worker processes, waits until they have answered a few hundred jobs, sends the
jobs in the fastest documented way that we found, reads back every result, and compares each
with the expected one. Sending, waiting and reading are timed; making the inputs and comparing are
not.
"""
