"""A Lookahead Evaluator that sees what stands below a slot when it predicts its click."""

from torch import Tensor

from degre_pipeline.reranker.losses import hindsight_click_loss
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator, reachable
from degre_pipeline.reranker.models.slot_clicks import clicks_reach


class HindsightEvaluator(LookaheadEvaluator):
    """Causal Transformer whose row t predicts the click of every slot up to t, given the first t items.

    Where users see a whole page, an item changes the clicks of those above it, too, and a slot's click is not
    yet known when its item is placed. Column s of the logits, [b, t, L], is the click of slot s; a prefix is
    worth the sum over its slots, as its last row sees them.
    Differs: DeGRe (arXiv 2605.25749), 4.1, learns the levels of the cumulative clicks, Eq. 7; these see as
        much, but say of a list how many clicks it earns and not which.
    """

    def list_loss(self, logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss of exposed lists; see `hindsight_click_loss`."""
        return hindsight_click_loss(logits, clicks, mask)

    def levels(self, static: Tensor, items: Tensor) -> Tensor:
        """Returns the probability that the clicks among the first t items reach k, [b, t, L].

        Clicks count as independent given the list; only these levels depend on that, not the values.
        """
        logits: Tensor = self(static, items)
        clicks = logits.sigmoid() * reachable(self.list_length, logits.device)[: logits.shape[1]]
        return clicks_reach(clicks, self.list_length)[..., -1, :]
