"""Views of the page: the question that each answers, and how to read it."""

from __future__ import annotations

from typing import NamedTuple


class View(NamedTuple):
    """A figure of the page: its id, heading in the contents, question and caption."""

    id: str
    short: str
    question: str
    caption: str


VIEWS = (
    View(
        "ranking", "Ranking", "Which one, if it has to do everything?",
        "Time over that of each problem's fastest algorithm, in the geometric mean of the selected "
        "problems; the line is the 95 % interval. Algorithms whose intervals overlap share a "
        "place. A problem without a time counts as twice the slowest time measured there.",
    ),
    View(
        "map", "Winner map", "Where does each one win?",
        "Each square is a problem, coloured by its fastest algorithm. The number is the lead over "
        "the next. A pale square is not decided: its lead is within the noise.",
    ),
    View(
        "scaling", "Scaling", "How does the time grow?",
        "Time per call against a size that varies alone. The exponent p of time ~ sizeᵖ is fitted "
        "to the larger half of the sizes, with its 95 % interval where four sizes or more allow "
        "one.",
    ),
    View(
        "profile", "Performance profile", "How often is each one nearly the fastest?",
        "Performance profile (Dolan & Moré, 2002): the share of the selected problems that an "
        "algorithm solves within a factor of the fastest. At the left edge stands how often it is "
        "the fastest; further right, how badly it fails where it does. High and left is good.",
    ),
    View(
        "roofline", "Roofline", "How far from the machine's limit?",
        "Work per second against work per byte, below the peak and bandwidths measured on this "
        "machine. Large marks are the fastest of their problem. The operations are those of the "
        "definition, so Fourier's and Winograd's transforms may pass the roof.",
    ),
    View(
        "tradeoff", "Trade-off", "What does speed cost in accuracy and memory?",
        "Down and left is better: nearer to the exact result, and faster. The area of a mark is "
        "the memory beyond input, kernel and output. A mark stands for all selected problems: mean "
        "cost, median error. Where names would overlap, point at a mark.",
    ),
    View(
        "threads", "Threads", "Do threads help?",
        "Speed with several threads over that with the fewest, in the geometric mean of the same "
        "problems. The grey line is perfect scaling.",
    ),
    View(
        "phases", "Phases", "What does the first call cost?",
        "Median over the selected problems of every phase of an algorithm's life. Compilation "
        "happens once per machine, preparation once per kernel. At the right: after how many "
        "calls the preparation has paid, against the algorithm that is cheapest for one call; "
        "never, if that one stays faster.",
    ),
    View(
        "peers", "Against peers", "How do ours compare with other libraries?",
        "Time of each peer over that of our fastest algorithm on the same problem: right of the "
        "line, ours is faster. Small marks are problems, the large one is their geometric mean.",
    ),
)  # fmt: skip
