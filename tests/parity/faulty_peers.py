"""HF's Longformer with one fault at a time: `plant(model, patch)` plants it, and undoing the patch takes it away."""

from __future__ import annotations

from oracles.fault_table import LAYER, SELF, FaultTable
from parity import faulty_attention
from parity.faulty_attention import base, given, hf, layers, wrap
from parity.peers import peer_modules

FAULTS = FaultTable(faulty_attention.FAULTS)


# --- embeddings -----------------------------------------------------------------------------------------------------


@FAULTS("embeddings.position_embeddings")
def positions_from_zero(model, patch):
    original = hf().create_position_ids_from_input_ids
    patch.setattr(
        hf(), "create_position_ids_from_input_ids", lambda ids, pad: (original(ids, pad) - pad - 1).clamp(min=0)
    )


@FAULTS("embeddings.position_embeddings")
def positions_off_by_one(model, patch):
    original = hf().create_position_ids_from_input_ids
    patch.setattr(hf(), "create_position_ids_from_input_ids", lambda ids, pad: original(ids, pad) - 1)


@FAULTS("embeddings.position_embeddings", batch="padded left")
def positions_count_padding(model, patch):
    torch, _ = peer_modules()

    def counted(ids, pad):
        return torch.arange(pad + 1, pad + 1 + ids.shape[1]).expand(ids.shape)

    patch.setattr(hf(), "create_position_ids_from_input_ids", counted)


@FAULTS("embeddings.token_type_embeddings")
def types_ignored(model, patch):
    wrap(base(model).embeddings.token_type_embeddings, "forward", lambda original: lambda ids: original(ids * 0))


@FAULTS("embeddings.LayerNorm")
def epsilon_not_of_the_config(model, patch):
    base(model).embeddings.LayerNorm.eps = 1e-12


@FAULTS("embeddings.word_embeddings", precisions=("float32",))
def weights_in_float16(model, patch):
    for weights in model.parameters():
        weights.data = weights.data.half().float()


# --- the rest of a layer --------------------------------------------------------------------------------------------


@FAULTS(f"{LAYER}.attention.output.dense")
def output_bias_missing(model, patch):
    layers(model)[0].attention.output.dense.bias.data.zero_()


@FAULTS(f"{LAYER}.attention.output.LayerNorm")
def residual_of_attention_missing(model, patch):
    part = layers(model)[0].attention.output
    part.forward = lambda hidden, residual: part.LayerNorm(part.dense(hidden))


@FAULTS(f"{LAYER}.output.LayerNorm")
def residual_of_feed_forward_missing(model, patch):
    part = layers(model)[0].output
    part.forward = lambda hidden, residual: part.LayerNorm(part.dense(hidden))


@FAULTS(f"{LAYER}.output.LayerNorm")
def norm_of_the_attention_after_feed_forward(model, patch):
    layer = layers(model)[0]
    layer.output.LayerNorm.load_state_dict(layer.attention.output.LayerNorm.state_dict())


@FAULTS(f"{LAYER}.intermediate.intermediate_act_fn", precisions=("float32",))
def gelu_by_tanh(model, patch):
    torch, _ = peer_modules()
    layers(model)[0].intermediate.intermediate_act_fn = torch.nn.GELU(approximate="tanh")


@FAULTS(f"{LAYER}.intermediate.intermediate_act_fn")
def relu_for_gelu(model, patch):
    torch, _ = peer_modules()
    layers(model)[0].intermediate.intermediate_act_fn = torch.nn.ReLU()


@FAULTS(f"{LAYER}.output.dense")
def feed_forward_weight_of_the_next_layer(model, patch):
    layers(model)[0].output.dense = layers(model)[1].output.dense


@FAULTS("lm_head.dense")
def last_layer_skipped(model, patch):
    base(model).encoder.layer = layers(model)[:-1]


# --- heads ----------------------------------------------------------------------------------------------------------


@FAULTS("lm_head.layer_norm")
def head_activation_missing(model, patch):
    patch.setattr(hf(), "gelu", lambda x: x)


@FAULTS("lm_head.layer_norm")
def head_norm_missing(model, patch):
    torch, _ = peer_modules()
    model.lm_head.layer_norm = torch.nn.Identity()


@FAULTS("lm_head.decoder")
def head_bias_missing(model, patch):
    model.lm_head.bias.data.zero_()


@FAULTS("lm_head.decoder")
def decoder_not_tied(model, patch):
    torch, _ = peer_modules()
    model.lm_head.decoder.weight = torch.nn.Parameter(model.lm_head.decoder.weight.data.roll(1, 0))


@FAULTS("pooler.dense", class_name="LongformerModel")
def last_token_pooled(model, patch):
    wrap(model.pooler, "forward", lambda original: lambda hidden: original(hidden.flip(1)))


@FAULTS("pooler.activation", class_name="LongformerModel")
def pooler_without_tanh(model, patch):
    torch, _ = peer_modules()
    model.pooler.activation = torch.nn.Identity()


@FAULTS("classifier.dense", class_name="LongformerForSequenceClassification")
def mean_classified(model, patch):
    wrap(model.classifier, "forward", lambda original: lambda hidden: original(hidden.mean(1, keepdim=True)))


@FAULTS(f"{SELF}.scores", class_name="LongformerForSequenceClassification")
def classifier_without_global_attention(model, patch):
    given(base(model), lambda kwargs: kwargs.update(global_attention_mask=None))


@FAULTS(f"{SELF}.query_global", class_name="LongformerForQuestionAnswering")
def answer_is_global_instead_of_question(model, patch):
    def change(kwargs):
        kwargs["global_attention_mask"] = 1 - kwargs["global_attention_mask"].long()

    given(base(model), change)
