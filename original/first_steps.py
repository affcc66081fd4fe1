"""Write what the first steps of the blog's training compute, as a .safetensors file.

    python tools/era.py 1.1.0 original/first_steps.py lenet -o lenet.safetensors

Its arrays, with K the number of a step and P a parameter: `order`, indexes of the images that were used; `outputs/K`
and `losses/K`; `before/K/P`, `gradients/K/P` and `after/K/P`.
"""

import argparse
import hashlib

import blog
from mxnet import gluon, nd
import numpy as np
import tensors


def trace(args):
    """Write the trace."""
    given = tensors.load(args.start)[0] if args.start else None
    blog.seed_both(args.seed)
    train_data, _ = blog.loaders(args)
    net = blog.make(args, args.dropout)
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": args.lr})
    arrays, batches = {}, []
    for step, (images, labels) in enumerate(train_data.batches(0), 1):
        batches.append(hashlib.sha256(images.asnumpy().tobytes() + labels.asnumpy().tobytes()).hexdigest())
        if step == 1 and (given or args.type != "float32"):
            net(images)  # draws the weights, in float32
            net.cast(args.type)
        if given:
            for name, parameter in blog.named(net).items():
                if parameter.grad_req != "null":
                    parameter.set_data(nd.array(given[f"before/{step}/{name}"], dtype=args.type))
        outputs, losses = blog.forward_and_backward(net, loss, images.astype(args.type), labels.astype(args.type))
        arrays[f"outputs/{step}"], arrays[f"losses/{step}"] = outputs.asnumpy(), losses.asnumpy()
        trained = {name: parameter for name, parameter in blog.named(net).items() if parameter.grad_req != "null"}
        for name, parameter in trained.items():
            arrays[f"before/{step}/{name}"] = parameter.data().asnumpy()
            arrays[f"gradients/{step}/{name}"] = parameter.grad().asnumpy()
        trainer.step(images.shape[0])
        for name, parameter in blog.named(net).items():
            arrays[f"after/{step}/{name}"] = parameter.data().asnumpy()
        print("step {}, loss {:.9f}".format(step, arrays[f"losses/{step}"].mean()))
        if step == args.steps:
            break
    arrays["order"] = train_data.order[: args.steps * args.batch_size].astype(np.int64)
    about = {"settings": blog.settings(args), "environment": blog.environment(), "batches": batches}
    tensors.save(args.out, arrays, about)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    blog.add_options(parser)
    parser.add_argument("-o", "--out", required=True, help="file to write")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--type", choices=("float32", "float64"), default="float32")
    parser.add_argument("--dropout", choices=("drawn", "given", "off"), default="drawn")
    parser.add_argument("--start", metavar="TRACE", help="start every step from the parameters of this trace")
    trace(parser.parse_args())


if __name__ == "__main__":
    main()
