"""A verdict's JSON → a report of one content as PDF and as HTML, to hand to an editor.

    document = with_pictures(verdict.to_dict(), pictures_of(source, verdict, detector))
    pdf, html = to_pdf(document), to_html(document)

The report is made of the JSON alone (schema version 2, with its pictures), so that whoever has that can make it again:
the same JSON and version give the same bytes.
"""

from detector.paper.html import to_html
from detector.paper.pdf import ReportError, to_pdf
from detector.paper.pictures import pictures_of, with_pictures

__all__ = ["ReportError", "pictures_of", "to_html", "to_pdf", "with_pictures"]
