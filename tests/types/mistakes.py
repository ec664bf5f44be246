"""What a type checker must refuse: each line that says so has an error, and no other line has one."""

from lf_ref import LongformerModel, pipeline

pipeline("fill-mask", top_kk=3)  # wrong
pipeline("fill-mask", stride=3)  # wrong
pipeline("feature-extraction", pooling=3)  # wrong
pipeline("ner", "folder", agregation_strategy="simple")  # wrong
pipeline("text-classification", "folder")("A text.", top_q=3)  # wrong
pipeline("fill-mask")("A <mask>.", top_k="3")  # wrong
pipeline("fill-mask")(3)  # wrong
pipeline("feature-extraction")("A text.", return_tensor=True)  # wrong
pipeline("zero-shot-classification", "folder")("A text.", ["a"], multilabel=True)  # wrong
pipeline("token-classification", "folder")("A text.", stride="8")  # wrong
pipeline("question-answering", "folder")(question="Where?", contexts="Here.")  # wrong
pipeline("multiple-choice", "folder")("A question", ["a"], top=3)  # wrong
pipeline("question-answering", "folder")(question="Where?", context="Here.")["anser"]  # wrong
pipeline("fill-mask")("A <mask>.")[0]["token"].upper()  # wrong
LongformerModel.from_pretrained()([[0, 2]], attention_masks=[[1, 1]])  # wrong
