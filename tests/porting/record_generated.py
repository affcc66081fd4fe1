"""Record a generated PyTorch or Flax file on the data of a trace: a prediction, and a training step.

python record_generated.py TRACE PORT.py RECORDED.npz
"""

import importlib.util
import sys

from gluon_classics.porting import Recorder


def main(trace, port, recorded):
    """Run a generated file and record it."""
    specification = importlib.util.spec_from_file_location("port", port)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    recorder, network = Recorder(trace), module.load()
    factors = [term.factor for term in recorder.trace.graph.loss]

    def summed(cross_entropy):
        return lambda outputs, label: sum(
            factor * cross_entropy(output, label)
            for factor, output in zip(factors, outputs if isinstance(outputs, tuple) else (outputs,))
        )

    if hasattr(module, "nnx"):
        import jax

        def cross_entropy(output, label):
            return -jax.numpy.mean(jax.nn.log_softmax(output)[jax.numpy.arange(len(label)), label])

        recorder.nnx(network)
        recorder.nnx_step(network, summed(cross_entropy))
    else:
        from torch.nn import functional as F

        recorder.torch(network)
        recorder.torch_step(network, summed(F.cross_entropy))
    recorder.save(recorded)


if __name__ == "__main__":
    main(*sys.argv[1:])
