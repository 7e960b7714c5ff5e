"""A service that reads texts, in tests."""

import asyncio

from media_gateway.analysis.service import Opinion, Scores, Sentiment


class Reader:
    """Finds everything positive; raises each of `faults` first, one a request."""

    def __init__(self):
        self.asked = []
        self.faults = []

    async def opinions(self, texts, language):
        await asyncio.sleep(0)
        self.asked.append((list(texts), language))
        if self.faults:
            raise self.faults.pop(0)
        return [Opinion(Sentiment.POSITIVE, Scores(1, 0, 0)) for _ in texts]

    async def key_phrases(self, texts, language):
        return ["phrase of " + text for text in texts]
