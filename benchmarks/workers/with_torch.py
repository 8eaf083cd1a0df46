"""Runs a task with PyTorch's own pooling with indices and unpooling."""

import contextlib

import torch
from timing import answer, clock, task
from torch import nn
from torch.nn import functional as F

ENCODER = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,))


def block(inputs, filters, kernel_size):
    convolution = nn.Conv2d(inputs, filters, kernel_size, padding=kernel_size // 2)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True))


class SegNet(nn.Module):
    """The 26 convolutions of SegNet."""

    def __init__(self):
        super().__init__()
        channels, self.encoder, self.decoder = 3, nn.ModuleList(), nn.ModuleList()
        for stages, filters_of_stages in ((self.encoder, ENCODER), (self.decoder, DECODER)):
            for filters in filters_of_stages:
                blocks = []
                for n in filters:
                    blocks.append(block(channels, n, 3))
                    channels = n
                stages.append(nn.Sequential(*blocks))
        self.classifier = nn.Conv2d(channels, 11, 3, padding=1)

    def forward(self, x):
        pooled = []
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[-2:]
            x, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
            pooled.append((size, indices))
        for stage in self.decoder:
            size, indices = pooled.pop()
            x = stage(F.max_unpool2d(x, indices, 2, output_size=size))
        return self.classifier(x)


class SegNetBasic(nn.Module):
    """Four encoders and four decoders, 64 features, 7x7."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleList(block(3 if i == 0 else 64, 64, 7) for i in range(4))
        self.decoder = nn.ModuleList(
            nn.Sequential(nn.Conv2d(64, 64, 7, padding=3), nn.BatchNorm2d(64)) for _ in range(4)
        )
        self.classifier = nn.Conv2d(64, 11, 1)

    forward = SegNet.forward


NETWORKS = {"segnet": SegNet, "segnet_basic": SegNetBasic}
FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}


def pooling(size, batch, channels, repeats, memory_format):
    x = torch.randn(batch, channels, *size).to(memory_format=FORMATS[memory_format]).requires_grad_()
    upstream = torch.randn(x.shape).to(memory_format=FORMATS[memory_format])

    def forward():
        pooled, indices = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(pooled, indices, 2)

    def forward_only():
        with torch.no_grad():
            forward()

    return {
        "forward": clock(forward_only, repeats),
        "forward and backward": clock(lambda: torch.autograd.grad(forward(), x, upstream), repeats),
    }


def network(network, size, batch, repeats, memory_format, precision="float32", compiled=False):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = NETWORKS[network]().to(device, memory_format=FORMATS[memory_format])
    x = (torch.rand(batch, 3, *size) * 255).to(device, memory_format=FORMATS[memory_format])
    y = torch.randint(0, 11, (batch, *size)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    half = (
        contextlib.nullcontext()
        if precision == "float32"
        else torch.autocast(device, getattr(torch, precision.removeprefix("mixed_")))
    )
    run = torch.compile(model) if compiled else model

    def predict():
        with torch.no_grad(), half:
            return run(x).softmax(dim=1).cpu()

    def step():
        optimizer.zero_grad(set_to_none=True)
        with half:
            loss = F.cross_entropy(run(x).float(), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    model.eval()
    predicting = clock(predict, repeats)
    model.train()
    return {"predict": predicting, "train step": clock(step, repeats)}


if __name__ == "__main__":
    given = task()
    answer(**{"pooling": pooling, "network": network}[given.pop("task")](**given))
