"""The port with one fault at a time: what goes wrong when people port Longformer, and where it first shows."""

from __future__ import annotations

import numpy as np

from oracles import faulty_attention
from oracles.fault_table import LAST, LAYER, SELF, FaultTable
from oracles.faulty_attention import truncated
from oracles.port import Port

FAULTS = FaultTable(faulty_attention.FAULTS)


# --- embeddings -----------------------------------------------------------------------------------------------------


@FAULTS("embeddings.position_embeddings")
class PositionsFromZero(Port):
    def positions(self, ids):
        return np.maximum(super().positions(ids) - self.fields["pad_token_id"] - 1, 0)


@FAULTS("embeddings.position_embeddings")
class PositionsOffByOne(Port):
    def positions(self, ids):
        return super().positions(ids) - 1


@FAULTS("embeddings.position_embeddings", batch="padded left")
class PositionsCountPadding(Port):
    def positions(self, ids):
        return np.broadcast_to(np.arange(ids.shape[1]) + self.fields["pad_token_id"] + 1, ids.shape)


@FAULTS("embeddings.token_type_embeddings")
class TypesIgnored(Port):
    def types(self, given):
        return np.zeros_like(given)


@FAULTS("embeddings.LayerNorm")
class EpsilonNotOfTheConfig(Port):
    def eps(self, name):
        return 1e-12


@FAULTS("embeddings.word_embeddings", precisions=("bfloat16",))
class WeightsCutOff(Port):
    def stored(self, values):
        return truncated(values)


@FAULTS("embeddings.word_embeddings", precisions=("float32",))
class WeightsInFloat16(Port):
    def stored(self, values):
        return values.astype(np.float16).astype(np.float32)


# --- the rest of a layer --------------------------------------------------------------------------------------------


@FAULTS(f"{LAYER}.attention.output.dense")
class OutputBiasMissing(Port):
    def bias(self, name):
        return super().bias(name) * (not name.endswith("attention.output.dense"))


@FAULTS(f"{LAYER}.attention.output.LayerNorm")
class ResidualOfAttentionMissing(Port):
    def add_and_norm(self, residual, x, name):
        return super().add_and_norm(residual * (not name.endswith("attention.output")), x, name)


@FAULTS(f"{LAYER}.output.LayerNorm")
class ResidualOfFeedForwardMissing(Port):
    def add_and_norm(self, residual, x, name):
        return super().add_and_norm(residual * name.endswith("attention.output"), x, name)


@FAULTS(f"{LAYER}.output.LayerNorm")
class NormsSwapped(Port):
    def norm(self, x, name):
        done = super().norm(x, name.replace(f"{LAYER}.output", f"{LAYER}.attention.output"))
        self.recorded[name] = done
        return done

    def add_and_norm(self, residual, x, name):
        before = self.recorded.get(f"{LAYER}.attention.output.LayerNorm")
        done = super().add_and_norm(residual, x, name)
        if name == f"{LAYER}.output":
            self.recorded[f"{LAYER}.attention.output.LayerNorm"] = before
        return done


@FAULTS(f"{LAYER}.intermediate.intermediate_act_fn", precisions=("float32",))
class GeluByTanh(Port):
    """At most 5e-4 off, which is less than a step of bfloat16 where gelu is large."""

    def gelu(self, x):
        return 0.5 * x * (1 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x**3)))


@FAULTS(f"{LAYER}.intermediate.intermediate_act_fn")
class ReluForGelu(Port):
    def gelu(self, x):
        return np.maximum(x, 0)


@FAULTS(f"{LAYER}.output.dense")
class FeedForwardWeightOfTheNextLayer(Port):
    def weight(self, name):
        return super().weight(name.replace(f"{LAYER}.output.dense", f"{LAST}.output.dense"))


@FAULTS("lm_head.dense")
class LastLayerSkipped(Port):
    def depth(self):
        return super().depth() - 1


# --- heads ----------------------------------------------------------------------------------------------------------


@FAULTS("lm_head.layer_norm")
class HeadActivationMissing(Port):
    def head_activation(self, x):
        return x


@FAULTS("lm_head.decoder")
class HeadNormMissing(Port):
    def head_norm(self, x):
        return x


@FAULTS("lm_head.decoder")
class HeadBiasMissing(Port):
    def bias(self, name):
        return super().bias(name) * (name != "lm_head.decoder")


@FAULTS("lm_head.decoder")
class DecoderNotTied(Port):
    def weight(self, name):
        weight = super().weight(name)
        return np.roll(weight, 1, axis=0) if name == "lm_head.decoder" else weight


@FAULTS("pooler.dense", class_name="LongformerModel")
class LastTokenPooled(Port):
    def first(self, x):
        return x[:, -1]


@FAULTS("pooler.activation", class_name="LongformerModel")
class PoolerWithoutTanh(Port):
    def tanh(self, x):
        return x


@FAULTS("classifier.dense", class_name="LongformerForSequenceClassification")
class MeanClassified(Port):
    def first(self, x):
        return self.rounded(x.mean(1))


@FAULTS(f"{SELF}.scores", class_name="LongformerForSequenceClassification")
class ClassifierWithoutGlobalAttention(Port):
    def default_global(self, ids):
        return np.zeros_like(ids)


@FAULTS(f"{SELF}.query_global", class_name="LongformerForQuestionAnswering")
class AnswerIsGlobalInsteadOfQuestion(Port):
    def default_global(self, ids):
        return 1 - super().default_global(ids)
