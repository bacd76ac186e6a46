"""Tell a person that a candidate waits for approval."""

import json
import urllib.request

from sensorproof.documents import PromotionRecord

_PATIENCE_S = 10.0


def notify(url: str, promotion: PromotionRecord) -> str | None:
    """Post a decision as JSON: `text`, which chat services show, and the whole decision as `promotion`.

    Args:
        url: of a webhook.
        promotion: the decision.

    Returns:
        None, or why nobody could be told: a run does not fail by that.
    """
    name = f"{promotion.model} version {promotion.version}"
    text = f"{name} passed all gates and waits: `sensorproof registry approve` or `sensorproof registry refuse`"
    body = json.dumps({"text": text, "promotion": promotion.to_json()}).encode()
    try:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url} is no address of a web server")
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=_PATIENCE_S):
            return None
    except (OSError, ValueError) as error:
        return f"warning: promotion.notify: nobody was told ({error})"
