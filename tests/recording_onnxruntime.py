"""An onnxruntime that says it has other providers, notes what they are told, and computes on the CPU."""

from typing import Any

from vr.runtime.session import import_onnxruntime


class RecordingOrt:
    """`sessions` are the providers of each session in order, `devices` where tensors were put.

    refuses: options, of which one set to "1" makes that a session is not created, as onnxruntime refuses a CUDA graph.
    """

    def __init__(self, *providers: str, refuses: tuple[str, ...] = ()) -> None:
        self.real = import_onnxruntime()
        self.available, self.refuses = [*providers, "CPUExecutionProvider"], refuses
        self.sessions: list[list[tuple[str, dict[str, str]]]] = []
        self.inputs: list[dict[str, list[int]]] = []
        self.devices: set[str] = set()
        self.OrtValue = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def get_available_providers(self) -> list[str]:
        return self.available

    def preload_dlls(self) -> None:
        pass

    def ortvalue_from_numpy(self, values: Any, device: str, device_id: int) -> Any:
        self.devices.add(device)
        return self.real.OrtValue.ortvalue_from_numpy(values, "cpu", device_id)

    def InferenceSession(self, content: Any, options: Any, providers: list[tuple[str, dict[str, str]]]) -> Any:
        self.sessions.append(providers)
        if any(told.get(option) == "1" for _, told in providers for option in self.refuses):
            raise RuntimeError("cannot be captured")
        session = self.real.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.inputs.append({one.name: one.shape for one in session.get_inputs()})
        session.get_providers = lambda: [name for name, _ in providers]
        return session
