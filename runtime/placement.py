"""Which nodes of a graph run where: a GPU that quietly hands single operators back to the CPU is slower than either.

onnxruntime records the placement from version 1.24 on; before, nothing is said.
"""

from collections import Counter
from dataclasses import dataclass, field

from vr.runtime.providers import OrtSession, short_name

_NAMED_OPERATORS = 4


@dataclass(frozen=True)
class Placement:
    """How many nodes run on `provider`, and which run elsewhere.

    total: all nodes, after onnxruntime has optimised the graph; 0 if the placement is not known. elsewhere: number of
    nodes by provider and operator. Placements of several graphs add up.
    """

    provider: str
    total: int = 0
    elsewhere: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])

    def __add__(self, other: "Placement") -> "Placement":
        return Placement(self.provider, self.total + other.total, self.elsewhere + other.elsewhere)

    @property
    def text(self) -> str:
        """One line, for example "3 of 412 nodes not on cuda: GridSample x2 on cpu, Resize x1 on cpu"."""
        if self.total == 0:
            return "placement of the nodes unknown (onnxruntime 1.24 or newer tells it)"
        if not self.elsewhere:
            return f"all {self.total} nodes on {self.provider}"
        common = self.elsewhere.most_common(_NAMED_OPERATORS)
        named = [f"{operator} x{count} on {provider}" for (provider, operator), count in common]
        more = [] if len(self.elsewhere) == len(common) else ["..."]
        return f"{self.elsewhere.total()} of {self.total} nodes not on {self.provider}: {', '.join([*named, *more])}"


def placement_of(session: OrtSession, provider: str) -> Placement:
    """Of a session that was opened with `vr.runtime.providers`, as seen by someone who wanted `provider`."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return Placement(provider)
    total, elsewhere = 0, Counter[tuple[str, str]]()
    for subgraph in session.get_provider_graph_assignment_info():
        nodes, found = subgraph.get_nodes(), short_name(subgraph.ep_name)
        total += len(nodes)
        if found != provider:
            elsewhere.update((found, str(node.op_type)) for node in nodes)
    return Placement(provider, total, elsewhere)
