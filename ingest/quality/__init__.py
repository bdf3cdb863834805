"""How good every delivery is, in the words of ISO 19157: counted here, written as one document and one page."""

from ingest.quality.document import quality_document
from ingest.quality.tallies import building_figures, completeness, feature_tally

__all__ = ["building_figures", "completeness", "feature_tally", "quality_document"]
