"""Training in several processes, on one machine or several, with MXNet's key-value store.

`launcher` starts and watches the processes. The workers form a `group`, and their `server_trainer` sends gradients to
the `server` processes, which update the parameters.
"""
