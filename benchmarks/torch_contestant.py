"""The contestant of `speed.py` that uses PyTorch, in a process without MXNet."""

import contextlib
import os
import time

import numpy as np
import torch
import torch._inductor.config
import torch_networks
import turns

LOSS = torch.nn.CrossEntropyLoss(reduction="none")


@contextlib.contextmanager
def _compiled_for_prediction():
    """Compile with the weights as constants, for predictions. In training this would only make PyTorch slower."""
    with torch.no_grad(), torch._inductor.config.patch(freezing=True):
        yield


class Torch:
    """The same layers in PyTorch.

    Args:
        case: The case to measure.
        mode: "eager", or one or both of the words "channels_last" and "compile".
    """

    def __init__(self, case, mode):
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        torch.manual_seed(1)
        self.case = case
        self.format = torch.channels_last if "channels_last" in mode else torch.contiguous_format
        images, labels = case.batch()
        self.images = torch.from_numpy(images).contiguous(memory_format=self.format)
        self.labels = torch.from_numpy(labels).long()
        self.net = getattr(torch_networks, case.network)()
        self.net(self.images[:1].repeat(2, 1, 1, 1))  # sets the widths of the lazy layers
        self.net = self.net.to(memory_format=self.format)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=case.learning_rate)
        self.forward, self.losses_of = self.net, self._losses
        # as PyTorch documents it: the compiler does not accept inference tensors
        self.without_gradients = torch.inference_mode
        if "compile" in mode:
            # one graph per batch size: in PyTorch 2.13, dynamic sizes failed with constant weights
            self.forward, self.losses_of = (torch.compile(f, dynamic=False) for f in (self.net, self._losses))
            self.without_gradients = _compiled_for_prediction

    def _losses(self, images, labels):
        outputs = self.net(images)
        return LOSS(outputs, labels), outputs

    def facts(self):
        return {"versions": {"torch": torch.__version__}}

    def memory(self):
        """Return the peak memory in megabytes."""
        return turns.peak_memory()

    def check(self, weights):
        """Return predictions and losses that start from these weights.

        The predictions are of the batch and of its first image alone. The losses are of four steps without dropout,
        each before its update.
        """
        names = [name for name in self.net.state_dict() if not name.endswith("num_batches_tracked")]
        state = {name: torch.from_numpy(array) for name, array in zip(names, weights)}
        self.net.load_state_dict(state, strict=False)
        self.net.eval()
        with self.without_gradients():
            outputs = np.concatenate([self.forward(images).numpy() for images in (self.images, self.images[:1])])
        dropouts = [module for module in self.net.modules() if isinstance(module, torch.nn.Dropout)]
        rates = [module.p for module in dropouts]
        for module in dropouts:
            module.p = 0
        losses = [float(self.step().mean()) for _ in range(4)]
        for module, rate in zip(dropouts, rates):
            module.p = rate
        return outputs, losses

    def step(self):
        return self._update(self.images, self.labels)[0]

    def _update(self, images, labels):
        self.net.train()
        self.optimizer.zero_grad(set_to_none=True)
        losses, outputs = self.losses_of(images, labels)
        losses.mean().backward()
        self.optimizer.step()
        return losses.detach(), outputs.detach()

    def steps(self, seconds):
        self.step()
        return turns.rate(self.step, len(self.images), seconds)

    def epoch(self, _seconds):
        """Like ours: images are resized batch by batch, and metrics are summed without waiting."""
        images, labels = self.case.data()
        images = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        dataset = torch.utils.data.TensorDataset(images, torch.from_numpy(labels).long())
        batches = torch.utils.data.BatchSampler(
            torch.utils.data.RandomSampler(dataset), self.case.batch_size, drop_last=False
        )
        loss_sum, right, seen = torch.zeros(()), torch.zeros((), dtype=torch.long), 0
        start = time.perf_counter()
        for x, y in torch.utils.data.DataLoader(dataset, sampler=batches, batch_size=None):
            x = x.float() / 255
            if self.case.resize:
                x = torch.nn.functional.interpolate(x, size=self.case.resize, mode="bilinear")
            losses, outputs = self._update(x.contiguous(memory_format=self.format), y)
            loss_sum += losses.sum()
            right += (outputs.argmax(1) == y).sum()
            seen += len(x)
        return seen / (time.perf_counter() - start)

    def predict(self, batch_size, seconds):
        self.net.eval()
        images = self.images[:batch_size].contiguous(memory_format=self.format)
        with self.without_gradients():
            for _ in range(2):  # compilation for a new batch size takes up to two calls
                self.forward(images)
            return turns.rate(lambda: self.forward(images), batch_size, seconds)
