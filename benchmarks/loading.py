"""How long loading and checking the bundled studies takes.

Run with ``uv run python benchmarks/loading.py``.
"""

from __future__ import annotations

import time

import metacart as mc


def main() -> None:
    """Print the fastest of five runs, and what it comes to for a hundred files."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        studies = mc.load_studies()
        times.append(time.perf_counter() - start)
    findings = sum(len(study.findings) for study in studies)
    print(f"{len(studies)} files, {findings} findings: {min(times):.3f} s")
    print(f"a hundred files at this rate: {100 * min(times) / len(studies):.2f} s")


if __name__ == "__main__":
    main()
