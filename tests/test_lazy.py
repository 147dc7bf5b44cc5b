import subprocess
import sys

import torch

from mathprobe import lazy


def test_attributes_are_forwarded_to_torch():
    assert lazy.torch.float64 is torch.float64
    assert lazy.torch.linalg.eigh is torch.linalg.eigh


def test_torch_is_imported_at_the_first_use():
    code = (
        "import sys; from mathprobe.lazy import torch; before = 'torch' in sys.modules;"
        "torch.float64; print(before, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"]
