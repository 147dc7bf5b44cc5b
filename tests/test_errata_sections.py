"""The report's sections of what needs no model."""

import pandas as pd
from made_up import ERRATA, ceilings

from mathprobe.paper import errata_sections
from mathprobe.paper.figures import Entry

EVIDENCE = pd.DataFrame(
    [
        {
            **{"evidence": "saving", "quantity": "fewer", "unit": "%"},
            **{"printed": 33.0, "value": 13.333, "low": None, "high": None},
        },
        {
            **{"evidence": "product_order", "quantity": "right", "unit": None},
            **{"printed": None, "value": 91.99, "low": 91.4, "high": 92.5},
        },
    ]
)


def plain(law):
    return law.replace("_", " ")


def test_ceilings_have_a_row_per_question_with_its_encodings():
    table = pd.DataFrame(ceilings())
    section = errata_sections.ceilings("ceilings", table, Entry("", "", 0), plain)
    assert len(section.rows) == len(table) / 4
    assert section.head == ["encodings", "5 %", "2 %", "1 %", "0.5 %"]
    row = section.rows[-1]
    assert row.name == "inverse, 5 × 5: uniform coefficients"
    assert [cell.text for cell in row.cells] == ["FP15 to P1000", *["90.0"] * 4]
    assert row.cells[1].below == ("label 80.0",)


def test_every_point_is_a_row_with_its_evidence():
    contradictions, silences, *_ = errata_sections.errata(ERRATA, EVIDENCE)
    assert contradictions.prose
    assert silences.prose
    assert len(contradictions.rows) == len(ERRATA["contradictions"])
    assert len(silences.rows) == len(ERRATA["silences"])
    below = {row.name: row.cells[0].below for row in contradictions.rows}
    saving, order = (
        below[f"{ERRATA['contradictions'][key]['title']} ({place})"]
        for key, place in (
            ("saving", "appendix against Table 6"),
            ("product_order", "section 3"),
        )
    )
    assert saving == ("fewer: 13.33 %, printed 33 %",)
    assert order == ("right: 91.99, (91.4 to 92.5)",)


def test_without_evidence_the_points_stand_alone():
    sections = errata_sections.errata(ERRATA, pd.DataFrame())
    assert not any(row.cells[0].below for section in sections for row in section.rows)
    assert errata_sections.errata({}, pd.DataFrame()) == []
