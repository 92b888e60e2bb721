"""What a network computes on, and in which precision."""

import torch

from app.errors import JobFailure
from app.training.config import TrainingConfig

GPU_COUNTS = {"cpu": 0, "two_cpus": 0, "four_cpus": 0, "gpu": 1, "two_gpus": 2, "four_gpus": 4}
CPU_PROCESSES = {"two_cpus": 2, "four_cpus": 4}


def find_devices(config: TrainingConfig) -> list[torch.device]:
    """Return the devices for the config: as many GPUs as it wants and there are, by itself one, else the CPU.

    The CPU stands there once for each process that computes on it.
    """
    found = torch.cuda.device_count()
    wanted = min(found, GPU_COUNTS.get(config.devices, 1))
    on_cpu = [torch.device("cpu")] * CPU_PROCESSES.get(config.devices, 1)
    return [torch.device("cuda", index) for index in range(wanted)] or on_cpu


def half_precision(config: TrainingConfig, device: torch.device) -> torch.dtype | None:
    """Return the 16-bit type in which mixed precision multiplies on a device; None for float32 throughout."""
    if config.precision != "mixed":
        return None
    if device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False):  # emulated, it gains nothing
        return torch.bfloat16
    return torch.float16


def advise(config: TrainingConfig) -> list[str]:
    """Return what the person who asked for these devices and this precision should know.

    Raises:
        JobFailure: when there are fewer GPUs than the config wants.
    """
    found, wanted = torch.cuda.device_count(), GPU_COUNTS.get(config.devices, 0)
    if found < wanted:
        there_is = f"this worker has {found or 'none'}"
        raise JobFailure(f"Devices: {wanted} GPU{'s' * (wanted > 1)} asked for, but {there_is}; choose Auto or CPU.")
    devices = find_devices(config)
    remarks = [f"{len(devices)} processes share each batch"] if len(devices) > 1 else []
    is_on_cpu = devices[0].type == "cpu"
    if config.precision == "mixed" and is_on_cpu and not torch.cpu._is_amx_tile_supported():
        remarks.append(
            "This processor has no matrix unit for bfloat16 (AMX): mixed precision is slower here than Float32 would be"
        )
    return remarks
