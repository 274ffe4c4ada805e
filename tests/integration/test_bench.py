# SPDX-License-Identifier: Apache-2.0
"""The benchmark works: every part gives figures, and they can be shown. What they say is not tested."""

import sys
import unittest
import xml.etree.ElementTree

from places import ROOT

sys.path.insert(0, str(ROOT / "tests" / "bench"))

import measurements  # noqa: E402
import report  # noqa: E402


class Bench(unittest.TestCase):
    def test_every_part_gives_figures(self):
        figures = {"machine": measurements.machine()}
        for name, part in measurements.PARTS:
            figures[name] = part(measurements.QUICK)
        text = report.tables(figures)
        for way in figures["latency"]["ways"]:
            self.assertIn(f"| {way} ", text)
        goals = report.goals(figures)
        self.assertEqual(len(goals), 10)
        self.assertTrue(all(isinstance(reached, bool) for *_, reached in goals), goals)
        self.assertGreater(figures["crowd"]["sandbox_mb_mean"], 1)
        xml.etree.ElementTree.fromstring(report.chart(figures))
