"""Names of the operations of Azure AI Language that are emulated."""

from collections.abc import Mapping
from typing import Final

ANALYZE_SENTIMENT: Final = "analyzeSentiment"
EXTRACT_KEY_PHRASES: Final = "extractKeyPhrases"

OF_KINDS: Final[Mapping[str, str]] = {
    "SentimentAnalysis": ANALYZE_SENTIMENT,
    "KeyPhraseExtraction": EXTRACT_KEY_PHRASES,
}
"""By the `kind` of a request; named as the package's methods."""
