"""Gaussians at the nodes of decision trees: what a state sounds like, by what surrounds it.

There are far more contexts than recordings. So each state of each phone has a tree that starts as one Gaussian of all
its occurrences, and the split that raises the likelihood most is made, wherever it is, again and again, until a split is
worth less than the parameters it costs (Shinoda and Watanabe 1997, "Acoustic modeling based on the MDL principle for
speech recognition") or there is no room. A context that never occurred follows the answers down to one that did.

Odell (1995), "The use of context in large vocabulary speech recognition", chapter 4: the likelihood of a set of frames
under their own Gaussian needs nothing but their number, sum and sum of squares, so no alignment is made anew.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Sums:
    """Of some frames, or of rows of them: n (...,) how many, x (..., D) their sum, xx (..., D) of their squares."""

    n: np.ndarray
    x: np.ndarray
    xx: np.ndarray

    @staticmethod
    def none(rows: int, columns: int) -> Sums:
        return Sums(np.zeros(rows), np.zeros((rows, columns)), np.zeros((rows, columns)))

    def add(self, rows: np.ndarray, more: Sums) -> None:
        """Add each row of `more` to the row of this that `rows` names; several may name the same."""
        for mine, theirs in ((self.n, more.n), (self.x, more.x), (self.xx, more.xx)):
            np.add.at(mine, rows, theirs)

    def columns(self, chosen: np.ndarray) -> Sums:
        """The same of some of the D columns."""
        return Sums(self.n, self.x[..., chosen], self.xx[..., chosen])

    def gaussian(self, floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(mean, variance) of likeliest Gaussians (..., D), no variance below `floor` (D,); rows without frames are 0."""
        n = np.maximum(self.n, 1e-12)[..., None]
        mean = self.x / n
        return mean, np.maximum(self.xx / n - mean**2, floor)

    def fit(self, floor: np.ndarray) -> np.ndarray:
        """Log-likelihood (...,) of the frames under their own Gaussian, in nats, without the constant of each frame."""
        _, variance = self.gaussian(floor)
        return -0.5 * self.n * np.log(variance).sum(-1)


class Forest(nn.Module):
    """`roots` trees with room for `splits` splits, and the Gaussians of their roots and leaves.

    mean, variance: (rows, D), float64; the roots' come first. question: (nodes,) what is asked at each node, -1 at a leaf.
    child: (nodes,) where a yes leads; a no leads to the node after it. row: (nodes,) the Gaussian of a leaf.
    """

    mean: Tensor
    variance: Tensor
    question: Tensor
    child: Tensor
    row: Tensor

    def __init__(self, roots: int, splits: int, dims: int):
        super().__init__()
        self.roots, nodes, rows = roots, roots + 2 * splits, roots + splits + min(splits, roots)
        self.register_buffer("mean", torch.zeros(rows, dims, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(rows, dims, dtype=torch.float64))
        self.register_buffer("question", torch.full((nodes,), -1, dtype=torch.int16))
        self.register_buffer("child", torch.zeros(nodes, dtype=torch.int32))
        self.register_buffer("row", torch.arange(nodes, dtype=torch.int32).clamp(max=roots - 1))

    @property
    def splits(self) -> int:
        """How many there are."""
        return int((self.question >= 0).sum())

    def leaves_of_roots(self) -> Tensor:
        """How many leaves each tree has (roots,) int64."""
        question, child = self.question.cpu(), self.child.cpu().long()
        root = torch.arange(len(question))
        split = torch.nonzero(question >= 0)[:, 0]
        for node in split[torch.argsort(child[split])].tolist():  # in the order in which they were split
            root[child[node] : child[node] + 2] = root[node]
        return 1 + torch.bincount(root[split], minlength=self.roots)

    def leaves(self, roots: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """The row (P,) of the leaf that answers (P, questions) bool lead to from each root (P,)."""
        question, child, row = (part.cpu().numpy() for part in (self.question, self.child, self.row))
        at, places = roots, np.arange(len(roots))
        while (asked := question[at] >= 0).any():
            yes = answers[places, np.maximum(question[at], 0)]
            at = np.where(asked, np.where(yes, child[at], child[at] + 1), at)
        return row[at]

    def set(self, sums: Sums, floor: np.ndarray, least: float = 1e-3) -> None:
        """The M-step: every row with frames of its own takes their mean and variance."""
        heard = torch.from_numpy(sums.n > least)
        mean, variance = (torch.from_numpy(made) for made in sums.gaussian(floor))
        self.mean[heard], self.variance[heard] = mean[heard].to(self.mean), variance[heard].to(self.mean)

    def forget(self) -> None:
        """Back to the roots."""
        self.question.fill_(-1)
        self.child.zero_()

    def grow(
        self, sums: Sums, roots: np.ndarray, answers: np.ndarray, floor: np.ndarray, least: float, price: float = 1.0
    ) -> None:
        """Split by the answers (P, Q) of occurrences with sums (P, ...) that begin at `roots` (P,).

        least: frames that a leaf must have. price: what the cost of a split's parameters is multiplied by.
        """
        self.forget()
        dims, total = sums.x.shape[1], float(sums.n.sum())
        centre, n = sums.x.sum(0) / max(total, 1e-12), sums.n[:, None]  # about it, single precision is enough
        x, xx = sums.x - n * centre, sums.xx - 2 * centre * sums.x + n * centre**2
        flat = np.concatenate([n, x, xx], axis=1).astype(np.float32)  # (P, 1 + 2 D)
        cost = (
            price * dims * np.log(max(total, 2.0))
        )  # MDL: half of log n for each of the 2 D numbers that a split adds
        waiting: list[tuple[float, int, int, np.ndarray]] = []

        def unfold(rows: np.ndarray) -> Sums:
            return Sums(rows[..., 0], rows[..., 1 : 1 + dims], rows[..., 1 + dims :])

        def consider(node: int, members: np.ndarray) -> None:
            """Put the node's best split in the queue, if any is worth its cost."""
            rows = flat[members]
            whole = rows.sum(0, dtype=np.float64)
            yes = (answers[members].T.astype(np.float32) @ rows).astype(np.float64)  # (Q, 1 + 2 D)
            gain = unfold(yes).fit(floor) + unfold(whole - yes).fit(floor) - unfold(whole).fit(floor)
            gain[(yes[:, 0] < least) | (whole[0] - yes[:, 0] < least)] = -np.inf
            best = int(gain.argmax())
            if gain[best] > cost:
                heapq.heappush(waiting, (-float(gain[best]), node, best, members))

        order = np.argsort(roots, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(roots[order])) + 1):
            consider(int(roots[members[0]]), members)
        free = row = self.roots
        while waiting and free + 2 <= len(self.question):
            _, node, best, members = heapq.heappop(waiting)
            self.question[node], self.child[node] = best, free
            # A root keeps its Gaussian; of another node the second child takes it over.
            self.row[free], self.row[free + 1] = row, row + 1 if node < self.roots else self.row[node]
            row += 2 if node < self.roots else 1
            yes = answers[members, best]
            for child, part in ((free, members[yes]), (free + 1, members[~yes])):
                mean, variance = unfold(flat[part].sum(0, dtype=np.float64)).gaussian(floor)
                at = self.row[child]
                self.mean[at], self.variance[at] = torch.from_numpy(mean + centre), torch.from_numpy(variance)
                consider(child, part)
            free += 2
