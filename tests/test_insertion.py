import pytest
import torch
from networks import decoder, ids

from mathprobe.nets.insertion import insert, restore_frozen

LEFT_OUT = {  # in the published code
    *("attn.out.weight", "attn.out.bias", "ln2.weight", "ln2.bias"),
    *("ln_final.bias", "unembed.bias"),
}


def another(**shape):
    """Build a decoder with other weights than the parent."""
    child = decoder(**shape)
    with torch.no_grad():
        for parameter in child.parameters():
            parameter.neg_().sub_(0.5)
    return child


def parameters_by_name(child):
    """Return the parameters by name, those of all layers in one list."""
    found = {}
    for name, parameter in child.named_parameters():
        own = name.split(".", 2)[-1] if "blocks" in name else name
        found.setdefault(own, []).append(parameter.detach().clone())
    return found


def unchanged(child, change):
    """Return the names of the parameters that a change leaves equal in all layers."""
    before = parameters_by_name(child)
    change(child)
    after = parameters_by_name(child)
    return {name for name in before if all(map(torch.equal, before[name], after[name]))}


def test_a_complete_copy_has_the_logits_of_its_parent():
    parent, child, tokens = decoder(), another(), ids(15, 5, 9)
    assert not torch.allclose(parent(tokens), child(tokens))
    insert(parent, child, complete=True)
    assert torch.equal(parent(tokens), child(tokens))


def test_the_published_variant_leaves_parameters_out():
    parent = decoder()
    assert unchanged(
        another(), lambda child: insert(parent, child, complete=False)
    ) == (LEFT_OUT)
    assert (
        unchanged(another(), lambda child: insert(parent, child, complete=True))
        == set()
    )


def test_only_the_first_layers_and_heads_are_copied():
    parent, child = decoder(1, heads=3), another(layers=2, heads=4)
    first, second = child.blocks
    random = another(layers=2, heads=4)
    insert(parent, child, complete=True)
    source = parent.blocks[0].attn
    copied = first.attn.query_key_value.weight.view(3, 4, 5, 12)
    assert torch.equal(copied[:, :3], source.query_key_value.weight.view(3, 3, 5, 12))
    assert torch.equal(first.attn.out.weight[:, :15], source.out.weight)
    untouched = random.blocks[0].attn
    fourth = untouched.query_key_value.weight.view(3, 4, 5, 12)[:, 3]
    assert torch.equal(copied[:, 3], fourth)
    assert torch.equal(first.attn.out.weight[:, 15:], untouched.out.weight[:, 15:])
    assert torch.equal(first.mlp.enter.weight, parent.blocks[0].mlp.enter.weight)
    for one, other in zip(
        second.parameters(), random.blocks[1].parameters(), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("parts", [("heads",), ("mlps",), ("heads", "mlps")])
def test_only_the_frozen_parts_are_restored(parts):
    parent, names = decoder(), {"heads": "attn", "mlps": "mlp"}
    same = unchanged(
        another(), lambda child: restore_frozen(parent, child, parts, complete=True)
    )
    changed = parameters_by_name(another()).keys() - same
    assert {name.split(".")[0] for name in changed} == {names[part] for part in parts}
