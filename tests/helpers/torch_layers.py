"""Gradients of a layer by PyTorch, for tests that have it."""


def gradients(problem, x, w, g):
    """Return the gradients of input and kernel by autograd; None for unsupported padding."""
    import torch

    x, w, g = (torch.from_numpy(a.copy()) for a in (x, w, g))
    x.requires_grad_()
    w.requires_grad_()
    sides = []
    for size, reach, (before, _) in reversed(
        list(zip(problem.size, problem.reach, problem.padding, strict=True))
    ):
        sides += [before, max(reach - before - size, 0)]
    convolve = getattr(torch.nn.functional, f"conv{problem.axes}d")
    y = convolve(
        torch.nn.functional.pad(x, sides), w, stride=problem.stride, dilation=problem.dilation,
        groups=problem.groups,
    )  # fmt: skip
    if tuple(y.shape) != problem.output_shape:
        return None
    y.backward(g)
    return x.grad.numpy(), w.grad.numpy()
